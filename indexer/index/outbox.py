"""The outbox: rows are claimed, resolved to departures, and removed by id once the index knows of them."""

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

from schemas.invalidation import DEPARTURE
from schemas.tables import DeadLetter, OutboxRow

DIRECT, FANNED, CAUSES = 0, 1, 2
LANES = {DIRECT: "direct", FANNED: "fanned", CAUSES: "causes"}
"""What followers take: departures that were changed (rows of lane 0); departures that show something that was (rows of
lane 1); and what itself was changed, rows of every other kind, whatever their lane."""

NEWEST_SHARE = 100
"""Direct changes taken from the end of the queue, so that a single one isn't stuck behind a large import."""
OLDEST_SHARE = 400
FAN_OUT = 500
"""Departures of the second lane taken by a batch, and the most that a batch adds to it."""
MAX_FANNED_BACKLOG = 2000
"""With more waiting in the second lane, only causes that have not begun are expanded."""

WAITING = select(
    func.count().label("rows"),
    func.coalesce(func.extract("epoch", func.clock_timestamp() - func.min(OutboxRow.created_at)), 0).label("oldest"),
    func.coalesce(func.max(OutboxRow.attempts), 0).label("attempts"),
)
"""Size of the backlog, age of its oldest row in seconds, and most attempts made on a row."""


@dataclass(frozen=True)
class ClaimedRow:
    id: int
    kind: str
    row_id: int | None
    lane: int
    attempts: int
    cursor: int | None
    created_at: datetime


CLAIMED = tuple(OutboxRow.__table__.c[field.name] for field in fields(ClaimedRow))


def _claimable(condition: ColumnElement[bool], *, retry: bool) -> Select[*tuple[Any, ...]]:
    chosen = select(*CLAIMED).where(condition)
    return (chosen if retry else chosen.where(OutboxRow.attempts == 0)).with_for_update(skip_locked=True)


def _is_enough_fanned() -> ColumnElement[bool]:
    row = aliased(OutboxRow)
    waiting = select(row.id).where((row.lane == FANNED) & (row.kind == DEPARTURE))
    return waiting.offset(MAX_FANNED_BACKLOG).limit(1).exists()


async def claim(connection: AsyncConnection, lanes: Collection[int] = LANES, *, retry: bool) -> list[ClaimedRow]:
    """Locks rows that no other batch has, each lane its share; with `retry` also those that failed before."""
    row = OutboxRow
    departure = row.kind == DEPARTURE
    direct = _claimable((row.lane == DIRECT) & departure, retry=retry)
    fanned = _claimable((row.lane == FANNED) & departure, retry=retry)
    causes = _claimable(~departure & (row.cursor.is_(None) | ~_is_enough_fanned()), retry=retry)
    shares = {
        DIRECT: [direct.order_by(row.id.desc()).limit(NEWEST_SHARE), direct.order_by(row.id).limit(OLDEST_SHARE)],
        FANNED: [fanned.order_by(row.id).limit(FAN_OUT)],
        CAUSES: [causes.order_by(row.id).limit(OLDEST_SHARE)],
    }
    parts = [share.cte() for lane in lanes for share in shares[lane]]
    rows = await connection.execute(union(*(select(part) for part in parts)))
    return [ClaimedRow(*found) for found in rows]


async def count_causes(connection: AsyncConnection) -> dict[str, tuple[int, int]]:
    """By kind, what waits and was not resolved to departures: how many rows, and the latest of them."""
    row = OutboxRow
    counted = select(row.kind, func.count(), func.max(row.id)).where(row.kind != DEPARTURE).group_by(row.kind)
    return {kind: (count, latest) for kind, count, latest in await connection.execute(counted)}


async def enqueue(
    connection: AsyncConnection, trip_ids: Iterable[int], *, lane: int, since: datetime | None = None
) -> None:
    """Departures to be read again; `since` is when the change was made that they depend on."""
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


async def move_to_dead_letters(
    connection: AsyncConnection, rows: Iterable[ClaimedRow], reasons: Mapping[int, str]
) -> None:
    """Keeps what could not be shown, and why, by departure id."""
    letters = [
        {"kind": row.kind, "row_id": row.row_id, "error": reasons[row.row_id], "created_at": row.created_at}
        for row in rows
        if row.row_id is not None and row.row_id in reasons
    ]
    if letters:
        await connection.execute(insert(DeadLetter), letters)
