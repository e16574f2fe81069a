"""Store batches of stream entries in Postgres; an entry that is stored again has no second effect."""

from collections import defaultdict
from collections.abc import Sequence

import orjson
import structlog
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.concurrency.bisection import process_with_bisection
from core.postgres.transactions import run_transaction
from schemas.tables import Event, RecommendationRequest, TripInteraction
from tracking.locks import TRACKING_LOCK
from tracking.stream import EVENT, RECOMMENDATION, SESSION, StreamEntry
from tracking.times import correct_times
from tracking.writers.events import write_events
from tracking.writers.request_logs import write_request_logs
from tracking.writers.sessions import write_sessions

log = structlog.get_logger()

DEAD_LETTERED = Counter("smarttrip_tracking_set_aside_total", "Events and request logs that Postgres refused")

WRITERS = {SESSION: write_sessions, EVENT: write_events, RECOMMENDATION: write_request_logs}

OUTAGES = ("08", "53", "57P", "58")
"""SQLSTATE classes of a server that is unreachable, out of resources, shutting down or broken: entries are retried."""
DOUBTFUL = ("0A", "0L", "0P", "24", "25", "26", "28", "2B", "2D", "34", "3D", "3F", "40", "42", "55", "57", "XX")
"""Classes of errors that mostly affect every entry (no such table, no permission), but may come from a trigger that
rejects one. All others are errors in the data: malformed, against a constraint, beyond a limit, or raised by a
trigger."""
NOT_NULL_VIOLATION = "23502"
OWN_COLUMNS = frozenset(
    column.name for table in (Event, RecommendationRequest, TripInteraction) for column in table.__table__.columns
)
"""Columns that we fill; a required one beside them is the platform's, and no entry's fault."""
MAX_DOUBTFUL = 10
"""Entries of a kind with a DOUBTFUL error, before any of it was stored, after which it counts as an error of all."""

INSERT_DEAD_EVENT = text("""
INSERT INTO smarttrip.event_dead (body, reason)
SELECT CAST(:body AS jsonb), :reason
WHERE NOT EXISTS (SELECT FROM smarttrip.event_dead WHERE body = CAST(:body AS jsonb))
""")


class EntriesRejectedError(Exception):
    """Postgres rejected a batch of entries because of their data; the message says why."""


class EntriesFailedError(Exception):
    """A batch could not be stored, which may be the fault of one entry or of none; `__cause__` is Postgres' error."""


async def store(engine: AsyncEngine, entries: Sequence[StreamEntry]) -> None:
    """Store entries in order, and dead-letter those that Postgres rejects; its other errors are raised.

    An entry with a doubtful error is at fault if others of its kind can be stored; if none can, the error is raised.
    """
    entries = await correct_times(engine, entries)
    doubtful: dict[str, list[tuple[StreamEntry, Exception]]] = defaultdict(list)
    stored_kinds: set[str] = set()

    async def process(batch: Sequence[StreamEntry]) -> None:
        await store_batch(engine, batch)
        stored_kinds.update(entry.kind for entry in batch)

    async def reject(entry: StreamEntry, error: Exception) -> None:
        if isinstance(error, EntriesRejectedError):
            await _dead_letter(engine, entry, str(error))
            return
        doubtful[entry.kind].append((entry, error))
        if entry.kind not in stored_kinds and len(doubtful[entry.kind]) >= MAX_DOUBTFUL:
            raise _cause(error)

    await process_with_bisection(entries, process, reject, errors=(EntriesRejectedError, EntriesFailedError))
    for kind, failed in doubtful.items():
        for entry, error in failed:
            if kind not in stored_kinds:
                raise _cause(error)
            await _dead_letter(engine, entry, str(error))


def _cause(error: Exception) -> BaseException:
    return error.__cause__ or error


async def store_batch(engine: AsyncEngine, entries: Sequence[StreamEntry]) -> None:
    """Store all entries or none.

    Raises: EntriesRejectedError if at least one of them is bad, EntriesFailedError if one may be, and other errors of
    the database.
    """
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for entry in entries:
        by_kind[entry.kind].append(entry.body)
    if unknown := by_kind.keys() - WRITERS.keys():
        raise EntriesRejectedError(f"unknown kind: {min(unknown)}")

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(TRACKING_LOCK)
        # Sessions first: they lock more than events do, and events belong to them.
        for kind, write_entries in WRITERS.items():
            if kind in by_kind:
                await write_entries(connection, by_kind[kind])

    try:
        await run_transaction(engine, write)
    except (KeyError, TypeError, ValueError) as error:
        raise EntriesRejectedError(f"malformed: {type(error).__name__}") from error
    except DBAPIError as error:
        sqlstate: str | None = getattr(error.orig, "sqlstate", None)
        if error.connection_invalidated or sqlstate is None or sqlstate.startswith(OUTAGES):
            raise
        failure = EntriesFailedError if _is_doubtful(error, sqlstate) else EntriesRejectedError
        raise failure(str(error.orig)) from error


def _is_doubtful(error: DBAPIError, sqlstate: str) -> bool:
    """Return whether the error mostly affects every entry, as a required column does that the platform has added."""
    if sqlstate == NOT_NULL_VIOLATION and error.orig is not None:
        column = getattr(error.orig.__cause__, "column_name", None)
        return column is not None and column not in OWN_COLUMNS
    return sqlstate.startswith(DOUBTFUL)


async def _dead_letter(engine: AsyncEngine, entry: StreamEntry, reason: str) -> None:
    """Insert the entry into the dead letters, as a string in JSON: a malformed entry would be no valid jsonb."""
    text_of_entry = entry.body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    body = orjson.dumps({"kind": entry.kind, "entry": text_of_entry}).decode()
    async with engine.begin() as connection:
        await connection.execute(TRACKING_LOCK)
        await connection.execute(INSERT_DEAD_EVENT, {"body": body, "reason": reason.replace("\0", "")})
    DEAD_LETTERED.inc()
    # The reason may quote personal data: administrators can read it in the table, the log must not contain it.
    log.warning("tracking_set_aside", kind=entry.kind)
