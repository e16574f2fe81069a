"""Check that DATABASE_URL and DATABASE_DIRECT_URL lead to the same database."""

import asyncio
import secrets

import structlog
from asyncpg import PostgresError
from sqlalchemy import text

from core import clients
from core.concurrency.resource_limits import DEFAULTS
from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from indexer.errors import DirectUrlMismatchError

log = structlog.get_logger()

WATCH_SECONDS = 30.0
"""Pause between two comparisons of a running worker: a pooler may lead to another database after a restore."""
CONFIRM_SECONDS = 5.0
"""Seconds after which a mismatch counts if it is still there: in a failover both URLs change, not at once."""

LOCK_CLASS = 0x736D0003
"""First half of the keys of the advisory locks by which one connection recognizes the database of another."""

TAKE = text("SELECT pg_advisory_xact_lock_shared(:class, :number)")
SEEN = text("""
SELECT EXISTS (
  SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
  WHERE locktype = 'advisory' AND datname = current_database()
    AND classid = :class AND objid = :number AND objsubid = 2 AND granted
)
""")


async def check_same_database(settings: Settings) -> None:
    """Return if a lock that is taken through one URL is seen through the other, as rebuilds rely on.

    That is compared, not names and identifiers: a restored copy or a standby has the same. A pooler changes nothing.
    Raises: DirectUrlMismatchError, and errors of Postgres if it cannot be reached one way or the other.
    """
    if settings.direct_url == settings.database_url:
        return
    if not await is_same_database(settings.direct_url, settings.database_url, settings.postgres_connect_seconds):
        raise DirectUrlMismatchError


async def is_same_database(one: str, other: str, seconds: float = DEFAULTS.postgres_connect_seconds) -> bool:
    """Return whether two URLs lead to the same database. `seconds` is the timeout of each connection."""
    holding, reading = [clients.postgres(url, pool_size=1, connect_timeout=seconds) for url in (one, other)]
    key = {"class": LOCK_CLASS, "number": secrets.randbelow(2**31)}
    try:
        async with holding.begin() as holder, reading.connect() as reader:
            await holder.execute(TAKE, key)
            return bool(await reader.scalar(SEEN, key))
    finally:
        await holding.dispose()
        await reading.dispose()


async def check_same_database_if_reachable(settings: Settings) -> None:
    """Do so, unless Postgres cannot be reached now, which is logged. Raises: DirectUrlMismatchError."""
    try:
        await check_same_database(settings)
    except (PostgresError, *BACKEND_ERRORS) as error:
        log.warning("direct_url_not_compared", error=type(error).__name__)


async def watch_same_database(settings: Settings) -> None:
    """Compare again and again, until cancelled. Raises: DirectUrlMismatchError, if it is seen twice."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            await check_same_database_if_reachable(settings)
        except DirectUrlMismatchError:
            await asyncio.sleep(CONFIRM_SECONDS)
            await check_same_database_if_reachable(settings)
