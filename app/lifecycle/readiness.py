"""Whether a process should be sent requests."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from elastic_transport import TransportError
from elasticsearch import AsyncElasticsearch

from app.backends.database import Database
from app.backends.labels import SEARCH_INDEX_LABEL
from app.http.errors import ApiError, to_api_error
from app.lifecycle.shutdown import DrainState
from core.errors import BackendUnavailableError, ExpectedError
from core.retries import retry_forever
from core.tasks import background_task
from schemas.api.errors import ErrorCode

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0

STARTUP_GRACE_SECONDS = 30.0
"""How long a process that has never reached the index waits for it before the database will do."""


class ReadinessProbe:
    """From the first time that the index answers, as long as index or database do, until the process is told to end.

    An index that has not been built is waited for, one that can't be reached for a while only.
    """

    def __init__(self, elasticsearch: AsyncElasticsearch, alias: str, database: Database, draining: DrainState) -> None:
        self._elasticsearch = elasticsearch
        self._alias = alias
        self._database = database
        self._draining = draining
        self._was_ready = False
        self._began = time.monotonic()

    async def wait(self) -> None:
        """Until all is there that the process needs; the log says for what it waits."""
        retrying = retry_forever(
            (ExpectedError,), first=FIRST_PAUSE_SECONDS, longest=LAST_PAUSE_SECONDS, on_failure=_log_missing
        )
        await retrying(self.check)
        log.info("ready")

    async def check(self) -> None:
        """Raises ApiError (503) or BackendUnavailableError that says what is missing."""
        if self._draining.active:
            raise _not_ready("draining", "This process is ending.")
        try:
            await self._look_for_index()
            self._was_ready = True
        except ExpectedError as error:
            # Taking every process out because of the index would take away the fallback as well.
            if not self._was_ready and (error.code == "no_index" or self._is_starting):
                raise
            async with self._database.read() as session:
                await session.connection()

    @property
    def _is_starting(self) -> bool:
        return time.monotonic() - self._began < STARTUP_GRACE_SECONDS

    async def _look_for_index(self) -> None:
        try:
            found = await self._elasticsearch.indices.exists_alias(name=self._alias)
        except TransportError:
            raise BackendUnavailableError(SEARCH_INDEX_LABEL) from None
        if not found:
            raise _not_ready("no_index", "The search index has not been built yet.")


def _log_missing(error: BaseException, retry_after: float) -> None:
    assert isinstance(error, ExpectedError)
    log.warning("waiting", code=error.code, message=to_api_error(error).message)


def _not_ready(code: ErrorCode, message: str) -> ApiError:
    return ApiError(503, code, message, headers={"Retry-After": "2"})


@asynccontextmanager
async def logging_until_ready(readiness: ReadinessProbe) -> AsyncIterator[None]:
    """Says in the log what is missing, for as long as something is and the block lasts."""
    async with background_task(readiness.wait()):
        yield
