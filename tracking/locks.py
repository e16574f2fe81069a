"""Advisory locks of tracking, and the order of all locks.

Every transaction takes its locks in this order, so that two never wait for each other: `TRACKING_LOCK`, the locks of
names (`lock_names`, in the order of their keys), rows of sessions, rows of users, rows of trips in the order of ids.
A transaction without `TRACKING_LOCK` locks at most one row of sessions and one of users.
"""

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

TRACKING_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('smarttrip.tracking', 0))")
"""Lock until the end of the transaction, for transactions that change many sessions or users."""

SESSION_NAME = "smarttrip.session:"
"""Prefix of a session's name; its lock excludes that events are stored while the session begins."""

LOCK_NAMES = text("""
SELECT pg_advisory_xact_lock(key)
FROM (
    SELECT DISTINCT hashtextextended(name, 0) AS key FROM unnest(CAST(:names AS text[])) AS name ORDER BY key
) AS ordered
""")


def session_name(session_id: UUID) -> str:
    return f"{SESSION_NAME}{session_id}"


def browser_name(anonymous_id: UUID) -> str:
    return f"smarttrip.browser:{anonymous_id}"


def email_name(email: str) -> str:
    """Return the name of an address in lower case. It is a digest: Postgres may log parameters."""
    return f"smarttrip.email:{sha256(email.encode()).hexdigest()}"


async def lock_names(connection: AsyncConnection | AsyncSession, names: Iterable[str]) -> None:
    """Lock these names until the end of the transaction; names exist whether or not there is a row yet."""
    await connection.execute(LOCK_NAMES, {"names": [*names]})
