"""Ask whether connections to the database wait for a lock."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def waits_for_a_lock(engine: AsyncEngine, connections: int = 1) -> bool:
    """Return whether so many connections, or more, wait."""
    async with engine.connect() as connection:
        return int(await connection.scalar(WAITING) or 0) >= connections
