"""Times of stream entries, which the clocks of API processes have told: corrected where such a clock was wrong.

By the clock of Postgres an entry was made when it was appended: not later than now, nor long before its age in the
stream. With a time in the future its session would never end; with one of last year it would be removed as expired.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tracking.stream import EVENT, RECOMMENDATION, SESSION, StreamEntry

log = structlog.get_logger()

FIELDS = {EVENT: "timestamp", RECOMMENDATION: "created_at", SESSION: "received_at"}
"""Field with the time, by kind of entry."""

TOLERANCE = timedelta(minutes=5)
"""Difference that is left as it is: of clocks, and between a request and its entry in the stream."""


async def correct_times(engine: AsyncEngine, entries: Sequence[StreamEntry]) -> list[StreamEntry]:
    """Return the entries, those of a known age with a time that is possible. Raises: DBAPIError and others."""
    if all(entry.age is None for entry in entries):
        return [*entries]
    async with engine.connect() as connection:
        now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    corrected = [correct_time(entry, now) for entry in entries]
    count = sum(entry.body is not before.body for entry, before in zip(corrected, entries, strict=True))
    if count:
        log.warning("tracking_times_corrected", count=count)
    return corrected


def correct_time(entry: StreamEntry, now: datetime) -> StreamEntry:
    """Return the entry with the time at which it was appended if its own cannot be; malformed ones stay as they are."""
    if entry.age is None:
        return entry
    appended = now - timedelta(seconds=max(0.0, entry.age))
    try:
        record = orjson.loads(entry.body)
        field = FIELDS[entry.kind]
        is_possible = appended - TOLERANCE <= datetime.fromisoformat(record[field]) <= now + TOLERANCE
    except (KeyError, TypeError, ValueError, OverflowError):
        return entry
    return entry if is_possible else entry._replace(body=orjson.dumps({**record, field: appended}))
