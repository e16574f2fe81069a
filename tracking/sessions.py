"""Close sessions without recent events."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

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
        async with engine.begin() as connection:
            await connection.execute(TRACKING_LOCK)
            rows = (await connection.execute(CLOSE, {"minutes": IDLE_MINUTES, "chunk": CHUNK})).rowcount
        closed += rows
        if rows < CHUNK:
            return closed
