"""Retry dead-lettered events and request logs, once the reason for their rejection is gone."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import DeadEvent
from tracking.stream import StreamEntry
from tracking.writers.batches import EntriesFailedError, EntriesRejectedError, store_batch

MAX_RETRIED = 1000


async def retry_dead_events(engine: AsyncEngine, ids: Sequence[int] | None = None) -> int:
    """Retry these dead letters, or the oldest ones; delete those that could be stored, and return their number."""
    chosen = select(DeadEvent.id, DeadEvent.body).order_by(DeadEvent.id).limit(MAX_RETRIED)
    if ids is not None:
        chosen = chosen.where(DeadEvent.id.in_(ids))
    async with engine.connect() as connection:
        dead = (await connection.execute(chosen)).all()
    stored = [dead_id for dead_id, body in dead if await _is_stored(engine, _entry(body))]
    async with engine.begin() as connection:
        await connection.execute(delete(DeadEvent).where(DeadEvent.id.in_(stored)))
    return len(stored)


async def _is_stored(engine: AsyncEngine, entry: StreamEntry) -> bool:
    try:
        await store_batch(engine, [entry])
    except (EntriesRejectedError, EntriesFailedError):
        return False
    return True


def _entry(body: dict[str, str]) -> StreamEntry:
    return StreamEntry(body["kind"], body["entry"].encode())
