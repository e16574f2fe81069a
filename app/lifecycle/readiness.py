"""Readiness: whether a load balancer should send requests to this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.http.errors import to_api_error
from app.lifecycle.required_backends import RequiredBackends, not_ready
from app.lifecycle.shutdown import DrainState
from core.concurrency.retries import retry_forever
from core.concurrency.shared_result import SharedResult
from core.concurrency.tasks import background_task
from core.errors import ExpectedError
from schemas.messages.message import Message

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0


class ReadinessProbe:
    """Ready while the required backends can be reached, until SIGTERM."""

    def __init__(self, required: RequiredBackends, draining: DrainState) -> None:
        self._draining = draining
        # One check at a time, shared by its callers: each may take a connection that requests need.
        self._backends = SharedResult(required.check, seconds=0)

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
            raise not_ready("draining", Message("draining"))
        await self._backends.get()

    async def close(self) -> None:
        """End the check under way."""
        await self._backends.aclose()


def _log_missing(error: BaseException, retry_after: float) -> None:
    assert isinstance(error, ExpectedError)
    log.warning("waiting", code=error.code, message=str(to_api_error(error)))


@asynccontextmanager
async def logging_until_ready(readiness: ReadinessProbe) -> AsyncIterator[None]:
    """Log what is missing until the process is ready or the block ends."""
    try:
        async with background_task(readiness.wait()):
            yield
    finally:
        await readiness.close()
