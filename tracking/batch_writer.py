"""Entries of the stream into Postgres, each with its effects once."""

from collections import defaultdict
from collections.abc import Sequence

import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.bisection import process_with_bisection
from tracking.event_writer import write_events
from tracking.locks import TRACKING_LOCK
from tracking.request_log_writer import write_recommendations
from tracking.stream import EVENT, RECOMMENDATION, StreamEntry

log = structlog.get_logger()

SET_ASIDE = Counter("smarttrip_tracking_set_aside_total", "Events and request logs that Postgres refused")

WRITERS = {EVENT: write_events, RECOMMENDATION: write_recommendations}

DATA_ERROR_CLASSES = ("22", "23", "54")
"""SQLSTATE classes that are the data's own fault: malformed, against a constraint, or beyond a limit. Whatever else
goes wrong (no connection, no such table, no right to write) would hit every entry, and is waited for."""

INSERT_DEAD_EVENT = text("""
INSERT INTO smarttrip.event_dead (body, reason)
SELECT CAST(:body AS jsonb), :reason
WHERE NOT EXISTS (SELECT FROM smarttrip.event_dead WHERE body = CAST(:body AS jsonb))
""")


class EntriesRejectedError(Exception):
    """Postgres rejected a batch of entries because of their data; the message says why."""


async def store(engine: AsyncEngine, entries: Sequence[StreamEntry]) -> None:
    """Store entries in order, and dead-letter those that Postgres rejects; its other errors are raised."""

    async def process(batch: Sequence[StreamEntry]) -> None:
        await store_batch(engine, batch)

    async def reject(entry: StreamEntry, error: Exception) -> None:
        await _set_aside(engine, entry, str(error))

    await process_with_bisection(entries, process, reject, errors=(EntriesRejectedError,))


async def store_batch(engine: AsyncEngine, entries: Sequence[StreamEntry]) -> None:
    """Store all entries or none.

    Raises: EntriesRejectedError if at least one of them is bad, and other errors of the database.
    """
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for kind, body in entries:
        by_kind[kind].append(body)
    if unknown := by_kind.keys() - WRITERS.keys():
        raise EntriesRejectedError(f"unknown kind: {min(unknown)}")
    try:
        async with engine.begin() as connection:
            await connection.execute(TRACKING_LOCK)
            for kind, bodies in by_kind.items():
                await WRITERS[kind](connection, bodies)
    except DBAPIError as error:
        if not _is_refusal(error):
            raise
        raise EntriesRejectedError(str(error.orig)) from error


def _is_refusal(error: DBAPIError) -> bool:
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    return sqlstate is not None and sqlstate.startswith(DATA_ERROR_CLASSES)


async def _set_aside(engine: AsyncEngine, entry: StreamEntry, reason: str) -> None:
    """As text inside of JSON, which Postgres takes whatever the text is."""
    text_of_entry = entry.body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    body = orjson.dumps({"kind": entry.kind, "entry": text_of_entry}).decode()
    async with engine.begin() as connection:
        await connection.execute(TRACKING_LOCK)
        await connection.execute(INSERT_DEAD_EVENT, {"body": body, "reason": reason.replace("\0", "")})
    SET_ASIDE.inc()
    # The reason may quote what a person sent; it is for administrators to read, not for the log.
    log.warning("tracking_set_aside", kind=entry.kind)
