"""Close sessions without recent events."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.transactions import run_transaction
from tracking.locks import TRACKING_LOCK

IDLE_MINUTES = 30
CHUNK = 1000

CLOSE = text("""
WITH idle AS (
    SELECT sessions.id, began, greatest(began, last_event) AS ended
    FROM sessions
    CROSS JOIN LATERAL (SELECT coalesce(started_at, created_at) AS began) AS start
    CROSS JOIN LATERAL (
        SELECT max("timestamp") AS last_event FROM events WHERE events.session_id = sessions.session_id
    ) AS latest
    WHERE ended_at IS NULL AND greatest(began, last_event) < now() - make_interval(mins => :minutes)
    LIMIT :chunk
)
UPDATE sessions SET ended_at = ended, duration_seconds = round(extract(epoch FROM ended - began))
FROM idle WHERE sessions.id = idle.id
""")


async def close_sessions(engine: AsyncEngine) -> int:
    """Close idle sessions, each at the time of its last event; return their number."""
    closed = 0
    while True:
        rows = await run_transaction(engine, _close_chunk)
        closed += rows
        if rows < CHUNK:
            return closed


async def _close_chunk(connection: AsyncConnection) -> int:
    await connection.execute(TRACKING_LOCK)
    return (await connection.execute(CLOSE, {"minutes": IDLE_MINUTES, "chunk": CHUNK})).rowcount
