"""Ask whether a connection to the database waits for a lock."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def waits_for_a_lock(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return bool(await connection.scalar(WAITING))
