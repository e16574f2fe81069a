"""Store batches of stream entries in Postgres; an entry that is stored again has no second effect."""

from collections import defaultdict
from collections.abc import Sequence

import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.bisection import process_with_bisection
from core.transactions import run_transaction
from tracking.event_writer import write_events
from tracking.locks import TRACKING_LOCK
from tracking.request_log_writer import write_request_logs
from tracking.stream import EVENT, RECOMMENDATION, StreamEntry

log = structlog.get_logger()

DEAD_LETTERED = Counter("smarttrip_tracking_set_aside_total", "Events and request logs that Postgres refused")

WRITERS = {EVENT: write_events, RECOMMENDATION: write_request_logs}

DATA_ERROR_CLASSES = ("22", "23", "54")
"""SQLSTATE classes of errors in the data: malformed, against a constraint, or beyond a limit. Any other error (no
connection, no such table, no permission) would affect every entry, and is retried."""

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
        await _dead_letter(engine, entry, str(error))

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

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(TRACKING_LOCK)
        for kind, bodies in by_kind.items():
            await WRITERS[kind](connection, bodies)

    try:
        await run_transaction(engine, write)
    except DBAPIError as error:
        if not _is_data_error(error):
            raise
        raise EntriesRejectedError(str(error.orig)) from error


def _is_data_error(error: DBAPIError) -> bool:
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    return sqlstate is not None and sqlstate.startswith(DATA_ERROR_CLASSES)


async def _dead_letter(engine: AsyncEngine, entry: StreamEntry, reason: str) -> None:
    """Insert the entry into the dead letters: as text inside of JSON, which Postgres accepts whatever the text is."""
    text_of_entry = entry.body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    body = orjson.dumps({"kind": entry.kind, "entry": text_of_entry}).decode()
    async with engine.begin() as connection:
        await connection.execute(TRACKING_LOCK)
        await connection.execute(INSERT_DEAD_EVENT, {"body": body, "reason": reason.replace("\0", "")})
    DEAD_LETTERED.inc()
    # The reason may quote personal data: administrators can read it in the table, the log must not contain it.
    log.warning("tracking_set_aside", kind=entry.kind)
