"""Close sessions without recent events."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.postgres.batched_changes import change_rows
from core.postgres.transactions import run_transaction
from tracking.locks import TRACKING_LOCK

IDLE_MINUTES = 30
CHUNK = 1000

IDLE = """
    SELECT sessions.id, began, greatest(began, last_event) AS ended
    FROM sessions
    CROSS JOIN LATERAL (SELECT coalesce(started_at, created_at) AS began) AS start
    CROSS JOIN LATERAL (
        SELECT max("timestamp") AS last_event FROM events WHERE events.session_id = sessions.session_id
    ) AS latest
    WHERE ended_at IS NULL AND greatest(began, last_event) < now() - make_interval(mins => :minutes)
"""
FIND = text(f"SELECT id FROM ({IDLE} AND sessions.id > :after) AS idle ORDER BY id LIMIT :chunk")  # noqa: S608
CLOSE = text(f"""
WITH idle AS ({IDLE} AND sessions.id = any(:ids))
UPDATE sessions SET ended_at = ended, duration_seconds = round(extract(epoch FROM ended - began))
FROM idle WHERE sessions.id = idle.id
""")  # noqa: S608 -- constants


async def close_sessions(engine: AsyncEngine) -> int:
    """Close idle sessions, each at the time of its last event; return their number."""

    async def close(ids: Sequence[int]) -> Sequence[int]:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(TRACKING_LOCK)
            await connection.execute(CLOSE, {"minutes": IDLE_MINUTES, "ids": ids})

        await run_transaction(engine, work)
        # Some may have had an event meanwhile, and stay open: nothing protects them.
        return ids

    closed, after = 0, 0
    while ids := await _find_idle(engine, after):
        closed += len(await change_rows("sessions", ids, close))
        after = ids[-1]
    return closed


async def _find_idle(engine: AsyncEngine, after: int) -> Sequence[int]:
    """Return the ids of idle sessions above this id, CHUNK at most."""
    async with engine.connect() as connection:
        parameters = {"minutes": IDLE_MINUTES, "after": after, "chunk": CHUNK}
        return (await connection.scalars(FIND, parameters)).all()
