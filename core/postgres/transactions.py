"""Transactions that Postgres rolls back in favour of others, and their retries."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

CONFLICT_SQLSTATES = ("40001", "40P01")
"""Serialization failure and deadlock: the server works, and the same transaction may succeed when it is repeated."""

UNIQUE_VIOLATION = "23505"
"""Another transaction has just inserted the same row: a repetition finds it."""

OUTDATED_ERRORS = (
    AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError,
    # A type that no longer exists.
    AsyncAdapt_asyncpg_dbapi.InternalServerError,
)

ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds between attempts, chosen at random up to this, so that two opponents do not meet again."""

Result = TypeVar("Result")


def is_conflict(error: BaseException) -> bool:
    """Return whether Postgres rolled the transaction back, in favour of another one or of a changed table."""
    return _sqlstate(error) in CONFLICT_SQLSTATES or is_outdated(error)


def is_outdated(error: BaseException) -> bool:
    """Return whether a prepared statement was kept from before its tables changed; no connection keeps it now."""
    return isinstance(error, DBAPIError) and isinstance(error.orig, OUTDATED_ERRORS)


def _is_retryable(error: BaseException) -> bool:
    return is_conflict(error) or _sqlstate(error) == UNIQUE_VIOLATION


def _sqlstate(error: BaseException) -> str | None:
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def retry_conflicts() -> AsyncRetrying:
    """Return the retry policy for a whole transaction; the conflict of the last attempt is raised."""
    return AsyncRetrying(
        retry=retry_if_exception(_is_retryable),
        wait=wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    )


async def run_transaction(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Run `work` in a transaction, and repeat it after a conflict. `work` must have no other effects."""

    async def attempt() -> Result:
        async with engine.begin() as connection:
            return await work(connection)

    return await retry_conflicts()(attempt)
