"""The outbox, a queue in Postgres: rows are claimed, resolved to departures, and deleted once the index has them.

Triggers insert a row for each changed row of the catalogue. Consumers read it in three lanes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from indexer.index.locks import STALLED_AFTER
from schemas.invalidation import DEPARTURE
from schemas.tables import DeadLetter, OutboxRow

DIRECT, FANNED, UPSTREAM = 0, 1, 2
LANES = {DIRECT: "direct", FANNED: "fanned", UPSTREAM: "causes"}
"""Lanes of the consumers, with their labels in metrics.

`DIRECT`: departures that were changed (column `lane` is 0). `FANNED`: departures that depend on a changed row (column
`lane` is 1). `UPSTREAM`: changed rows that departures depend on: all rows whose kind is not a departure, whatever their
column `lane` says; 2 is never stored there.
"""

BACKLOG = select(
    func.count().label("rows"),
    func.coalesce(func.extract("epoch", func.clock_timestamp() - func.min(OutboxRow.created_at)), 0).label("oldest"),
    func.coalesce(func.max(OutboxRow.attempts), 0).label("attempts"),
)
"""Number of rows, age of the oldest in seconds, and most attempts made on one."""


@dataclass(frozen=True)
class BatchLimits:
    """How much one batch takes, and how long it may take."""

    newest: int = 100
    """Rows of `DIRECT` taken from the end of the queue, so that a single change does not wait behind an import."""
    oldest: int = 400
    """Rows of `DIRECT`, and of `UPSTREAM`, taken from the start of the queue."""
    fan_out: int = 500
    """Departures of `FANNED` that are taken, and most departures that are added to it."""
    max_fanned_backlog: int = 2000
    """With more rows in `FANNED`, upstream changes that were begun have to wait."""
    stalled_after: float = STALLED_AFTER
    """Seconds after which a batch counts as stalled."""


DEFAULT_LIMITS = BatchLimits()


@dataclass(frozen=True)
class ClaimedRow:
    id: int
    kind: str
    row_id: int | None
    lane: int
    attempts: int
    cursor: int | None
    """Last departure id that the upstream change was resolved to, if it was begun."""
    created_at: datetime


CLAIMED = tuple(OutboxRow.__table__.c[field.name] for field in fields(ClaimedRow))


def _claimable(condition: ColumnElement[bool], *, retry: bool) -> Select[*tuple[Any, ...]]:
    chosen = select(*CLAIMED).where(condition)
    return (chosen if retry else chosen.where(OutboxRow.attempts == 0)).with_for_update(skip_locked=True)


def _is_fanned_backlog_over(maximum: int) -> ColumnElement[bool]:
    row = aliased(OutboxRow)
    fanned = select(row.id).where((row.lane == FANNED) & (row.kind == DEPARTURE))
    return fanned.offset(maximum).limit(1).exists()


async def claim(
    connection: AsyncConnection, lanes: Collection[int] = LANES, limits: BatchLimits = DEFAULT_LIMITS, *, retry: bool
) -> list[ClaimedRow]:
    """Lock rows of the lanes, up to the limits, that no other batch has locked; failed ones only with `retry`."""
    row = OutboxRow
    departure = row.kind == DEPARTURE
    direct = _claimable((row.lane == DIRECT) & departure, retry=retry)
    fanned = _claimable((row.lane == FANNED) & departure, retry=retry)
    has_room = row.cursor.is_(None) | ~_is_fanned_backlog_over(limits.max_fanned_backlog)
    upstream = _claimable(~departure & has_room, retry=retry)
    shares = {
        DIRECT: [direct.order_by(row.id.desc()).limit(limits.newest), direct.order_by(row.id).limit(limits.oldest)],
        FANNED: [fanned.order_by(row.id).limit(limits.fan_out)],
        UPSTREAM: [upstream.order_by(row.id).limit(limits.oldest)],
    }
    parts = [share.cte() for lane in lanes for share in shares[lane]]
    rows = await connection.execute(union(*(select(part) for part in parts)))
    return [ClaimedRow(*found) for found in rows]


async def count_upstream_changes(connection: AsyncConnection) -> dict[str, tuple[int, int]]:
    """Return the number of rows and the highest row id of `UPSTREAM`, by kind."""
    row = OutboxRow
    counted = select(row.kind, func.count(), func.max(row.id)).where(row.kind != DEPARTURE).group_by(row.kind)
    return {kind: (count, latest) for kind, count, latest in await connection.execute(counted)}


async def enqueue(
    connection: AsyncConnection, trip_ids: Iterable[int], *, lane: int, since: datetime | None = None
) -> None:
    """Add departures to be indexed again; `since` is the time of the change that requires it, now by default."""
    ids = func.unnest(bindparam("ids", list(trip_ids), ARRAY(BigInteger))).column_valued()
    created_at = func.clock_timestamp() if since is None else literal(since)
    rows = select(literal(DEPARTURE), ids, literal(lane), created_at)
    await connection.execute(insert(OutboxRow).from_select(["kind", "row_id", "lane", "created_at"], rows))


OUTBOX_IDS = any_(bindparam("ids", type_=ARRAY(BigInteger)))


async def remove(connection: AsyncConnection, row_ids: Iterable[int]) -> None:
    await connection.execute(delete(OutboxRow).where(OutboxRow.id == OUTBOX_IDS), {"ids": list(row_ids)})


async def count_attempt(connection: AsyncConnection, row_ids: Iterable[int]) -> None:
    failed = update(OutboxRow).where(OutboxRow.id == OUTBOX_IDS).values(attempts=OutboxRow.attempts + 1)
    await connection.execute(failed, {"ids": list(row_ids)})


async def save_cursor(connection: AsyncConnection, row_ids: Iterable[int], cursor: int) -> None:
    moved = update(OutboxRow).where(OutboxRow.id == OUTBOX_IDS).values(cursor=cursor)
    await connection.execute(moved, {"ids": list(row_ids)})


async def insert_dead_letters(
    connection: AsyncConnection, rows: Iterable[ClaimedRow], reasons: Mapping[int, str]
) -> None:
    """Insert a dead letter for each row whose departure id is in `reasons`; the rows themselves stay."""
    letters = [
        {"kind": row.kind, "row_id": row.row_id, "error": reasons[row.row_id], "created_at": row.created_at}
        for row in rows
        if row.row_id is not None and row.row_id in reasons
    ]
    if letters:
        await connection.execute(insert(DeadLetter), letters)
