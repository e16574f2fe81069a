"""Readiness: whether a load balancer should send requests to this process."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from elastic_transport import TransportError
from elasticsearch import AsyncElasticsearch

from app.backends.database import Database
from app.backends.index_feed import IndexFeedMonitor
from app.backends.labels import SEARCH_INDEX_LABEL
from app.http.errors import ApiError, to_api_error
from app.lifecycle.shutdown import DrainState
from core.errors import BackendUnavailableError, ExpectedError
from core.retries import retry_forever
from core.settings import Settings
from core.shared_result import SharedResult
from core.tasks import background_task
from schemas.api.errors import ErrorCode
from schemas.index_document import versioned_aliases
from schemas.messages.message import Message

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0

STARTUP_GRACE_SECONDS = 30.0
"""How long a new process insists on a reachable index before the database alone makes it ready."""


class ReadinessProbe:
    """Ready once the index has been reached, and from then on while the index or the database can be, until SIGTERM.

    A process that has never reached the index is not ready while the index is missing. If Elasticsearch is down, the
    database makes the process ready after `STARTUP_GRACE_SECONDS`.

    While there is an index of another document version, another release serves: a process whose own index is missing or
    is not fed any more is not ready.
    """

    def __init__(
        self,
        elasticsearch: AsyncElasticsearch,
        feed: IndexFeedMonitor,
        settings: Settings,
        database: Database,
        draining: DrainState,
    ) -> None:
        self._elasticsearch = elasticsearch
        self._feed = feed
        self._settings = settings
        self._database = database
        self._draining = draining
        # One check at a time, shared by its callers: each may take a connection that requests need.
        self._backends = SharedResult(self._check_backends, seconds=0)
        self._was_ready = False
        self._started_at = time.monotonic()

    async def wait(self) -> None:
        """Return once the process is ready; log what is missing until then."""
        retrying = retry_forever(
            (ExpectedError,), first=FIRST_PAUSE_SECONDS, longest=LAST_PAUSE_SECONDS, on_failure=_log_missing
        )
        await retrying(self.check)
        log.info("ready")

    async def check(self) -> None:
        """Return if the process is ready. Raises: ApiError 503 or BackendUnavailableError, saying what is missing."""
        if self._draining.active:
            raise _not_ready("draining", Message("draining"))
        if self._feed.is_stale:
            raise _not_ready("no_index", Message("index_not_fed"))
        await self._backends.get()

    async def close(self) -> None:
        """End the check under way."""
        await self._backends.aclose()

    async def _check_backends(self) -> None:
        try:
            await self._check_index()
            self._was_ready = True
        except ExpectedError as error:
            # An index that goes down later must not make all processes unready: they still have the fallback.
            if not self._was_ready and (error.code == "no_index" or self._is_starting):
                raise
            if error.code == "no_index" and await self._has_alias(
                versioned_aliases(self._settings.elasticsearch_alias)
            ):
                raise
            async with self._database.read() as session:
                await session.connection()

    @property
    def _is_starting(self) -> bool:
        return time.monotonic() - self._started_at < STARTUP_GRACE_SECONDS

    async def _check_index(self) -> None:
        if not await self._has_alias(self._settings.search_alias):
            raise _not_ready("no_index", Message("index_not_built"))

    async def _has_alias(self, name: str) -> bool:
        """Return whether an index has the alias, which may contain a wildcard. Raises: BackendUnavailableError."""
        try:
            # `exists_alias` is true of any wildcard.
            found = await self._elasticsearch.options(ignore_status=404).indices.get_alias(name=name)
            return "error" not in found and bool(found.body)
        except TransportError:
            raise BackendUnavailableError(SEARCH_INDEX_LABEL) from None


def _log_missing(error: BaseException, retry_after: float) -> None:
    assert isinstance(error, ExpectedError)
    log.warning("waiting", code=error.code, message=str(to_api_error(error)))


def _not_ready(code: ErrorCode, message: Message) -> ApiError:
    return ApiError(503, code, message, headers={"Retry-After": "2"})


@asynccontextmanager
async def logging_until_ready(readiness: ReadinessProbe) -> AsyncIterator[None]:
    """Log what is missing until the process is ready or the block ends."""
    try:
        async with background_task(readiness.wait()):
            yield
    finally:
        await readiness.close()
