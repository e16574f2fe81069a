"""The outbox, a queue in Postgres: rows are claimed, resolved to departures, and deleted once the index has them.

Triggers insert a row for each changed row of the catalogue. Consumers read it in three lanes. While there are indexes
of several document versions, a changed departure is split into a copy for each version, and workers of that version
claim it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from time import monotonic
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    SQLColumnExpression,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    union,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from core.postgres.sql import in_array
from indexer.index.locks import STALLED_AFTER
from schemas.index_document import DOCUMENT_VERSION
from schemas.invalidation_message import DEPARTURE
from schemas.tables import DeadLetter, IndexTarget, OutboxCopy, OutboxRow

DIRECT, FANNED_OUT, UPSTREAM = 0, 1, 2
LANES = {DIRECT: "direct", FANNED_OUT: "fanned", UPSTREAM: "causes"}
"""Lanes of the consumers, with their labels in metrics, which were published before the lanes had these names.

`DIRECT`: departures that were changed (column `lane` is 0). `FANNED_OUT`: departures that depend on a changed row
(column `lane` is 1). `UPSTREAM`: changed rows that departures depend on: all rows whose kind is not a departure,
whatever their column `lane` says; 2 is never stored there.
"""

COPY_OF_THIS_VERSION = OutboxCopy.document_version == str(DOCUMENT_VERSION)
"""Condition of the copies that this program claims."""


def _age(created_at: SQLColumnExpression[datetime]) -> ColumnElement[float]:
    """Return SQL for the seconds since `created_at`; 0 if that is NULL or, after a clock went back, in the future."""
    # Of the statement: one row may be claimed by two shares, and must be the same in both.
    return func.greatest(0, func.extract("epoch", func.statement_timestamp() - created_at))


_waiting = union_all(
    select(OutboxRow.created_at, OutboxRow.attempts),
    select(OutboxCopy.created_at, OutboxCopy.attempts).where(COPY_OF_THIS_VERSION),
).subquery()

BACKLOG = select(
    func.count().label("rows"),
    _age(func.min(_waiting.c.created_at)).label("oldest"),
    func.coalesce(func.max(_waiting.c.attempts), 0).label("attempts"),
)
"""Number of rows, age of the oldest in seconds, and most attempts made on one; without copies for other versions."""


@dataclass(frozen=True)
class BatchLimits:
    """How much one batch takes, and how long it may take."""

    newest: int = 100
    """Rows of `DIRECT` taken from the smallest of the latest transactions, so that a single change does not wait behind
    an import."""
    largest: int = 1000
    """Rows of a transaction that is no import: those of larger ones are taken from the start of the queue alone."""
    window: int = 150_000
    """Latest rows of `DIRECT` among which the smallest transactions are looked for: the limit on what may be committed
    beside a single change."""
    oldest: int = 400
    """Rows of `DIRECT` taken from the start of the queue."""
    upstream: int = 10_000
    """Rows of `UPSTREAM`, so many that all of a kind are resolved at once: in portions, the same departures would be
    looked at for each, and those that were written in the meantime would be written once more."""
    fan_out: int = 500
    """Departures of `FANNED_OUT` that are taken, and most departures that are added to it."""
    max_fanned_backlog: int = 2000
    """With more rows in `FANNED_OUT`, upstream changes that were begun have to wait."""
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
    """By the clock of Postgres."""
    changed_at: float
    """Time of the change on the monotonic clock of this process: when it was claimed, less its age in Postgres."""
    is_repeated: bool = False
    """Whether a batch claimed it before, which failed or was killed, and may have written to an index."""


def _never_locked(table: str) -> ColumnElement[bool]:
    """Return SQL for whether no transaction has locked the row: its `xmax` stays when one is rolled back."""
    return literal_column(f"{table}.xmax::text = '0'", Boolean).label("never_locked")


CLAIMED = (
    OutboxRow.id,
    OutboxRow.kind,
    OutboxRow.row_id,
    OutboxRow.lane,
    OutboxRow.attempts,
    OutboxRow.cursor,
    OutboxRow.created_at,
    _age(OutboxRow.created_at).label("age"),
    _never_locked(OutboxRow.__tablename__),
)
CLAIMED_COPY = (
    OutboxCopy.id,
    literal(DEPARTURE).label("kind"),
    OutboxCopy.row_id,
    OutboxCopy.lane,
    OutboxCopy.attempts,
    cast(null(), BigInteger).label("cursor"),
    OutboxCopy.created_at,
    _age(OutboxCopy.created_at).label("age"),
    _never_locked(OutboxCopy.__tablename__),
)

LOCK_TABLES = text("LOCK TABLE smarttrip.outbox, smarttrip.outbox_copies IN ROW EXCLUSIVE MODE")
"""The lock that later deletions need, taken before any index is locked: a REINDEX in between would be a deadlock."""

SET_SEQUENTIAL_SCANS = text("SELECT set_config('enable_seqscan', :value, true)")
"""Statistics of a queue are mostly those of when it was short: Postgres would sort all of it for each batch."""

Share = Select[*tuple[Any, ...]]
"""Query of a part of the rows that a batch takes."""


def _claimable(condition: ColumnElement[bool], *, retry: bool) -> Share:
    chosen = select(*CLAIMED).where(condition)
    return (chosen if retry else chosen.where(OutboxRow.attempts == 0)).with_for_update(skip_locked=True)


def _claimable_copies(lane: int, *, retry: bool) -> Share:
    chosen = select(*CLAIMED_COPY).where(COPY_OF_THIS_VERSION, OutboxCopy.lane == lane)
    return (chosen if retry else chosen.where(OutboxCopy.attempts == 0)).with_for_update(skip_locked=True)


def _is_fanned_backlog_over(maximum: int) -> ColumnElement[bool]:
    row = aliased(OutboxRow)
    fanned = select(row.id).where((row.lane == FANNED_OUT) & (row.kind == DEPARTURE))
    copies = select(OutboxCopy.id).where(COPY_OF_THIS_VERSION, OutboxCopy.lane == FANNED_OUT)
    return or_(*(rows.offset(maximum).limit(1).exists() for rows in (fanned, copies)))


async def claim(
    connection: AsyncConnection,
    lanes: Collection[int] = LANES,
    limits: BatchLimits = DEFAULT_LIMITS,
    *,
    retry: bool,
    copies_only: bool = False,
) -> list[ClaimedRow]:
    """Lock rows of the lanes, up to the limits, that no other batch has locked; failed ones only with `retry`.

    With `copies_only` departures are taken from the copies for this document version alone.
    """
    await connection.execute(LOCK_TABLES)
    row = OutboxRow
    has_room = row.cursor.is_(None) | ~_is_fanned_backlog_over(limits.max_fanned_backlog)
    upstream = _claimable((row.kind != DEPARTURE) & has_room, retry=retry)
    shares: dict[int, list[Share]] = {
        **_copy_shares(limits, retry=retry),
        UPSTREAM: [upstream.order_by(row.id).limit(limits.upstream)],
    }
    if not copies_only:
        for lane, found in _departure_shares(limits, retry=retry).items():
            shares[lane] += found
    parts = [share.cte() for lane in lanes for share in shares[lane]]
    await connection.execute(SET_SEQUENTIAL_SCANS, {"value": "off"})
    # Before the statement, whose time the ages are of: a change is then no younger than it seems.
    now = monotonic()
    rows = await connection.execute(union(*(select(part) for part in parts)))
    await connection.execute(SET_SEQUENTIAL_SCANS, {"value": "on"})
    claimed: dict[int, ClaimedRow] = {}
    # A row in two shares is returned twice, once as locked by ourselves. Sorted, the other reading is last and stays.
    for locked in sorted(rows, key=attrgetter("never_locked")):
        claimed[locked.id] = ClaimedRow(
            locked.id,
            locked.kind,
            locked.row_id,
            locked.lane,
            locked.attempts,
            locked.cursor,
            locked.created_at,
            now - float(locked.age),
            is_repeated=locked.attempts > 0 or not locked.never_locked,
        )
    return [*claimed.values()]


_IN_DIRECT = (OutboxRow.lane == DIRECT, OutboxRow.kind == DEPARTURE)


def _departure_shares(limits: BatchLimits, *, retry: bool) -> dict[int, list[Share]]:
    row = OutboxRow
    direct = _claimable(and_(*_IN_DIRECT), retry=retry)
    fanned = _claimable((row.lane == FANNED_OUT) & (row.kind == DEPARTURE), retry=retry)
    return {
        DIRECT: [direct.where(row.id.in_(_smallest_changes(limits))), direct.order_by(row.id).limit(limits.oldest)],
        FANNED_OUT: [fanned.order_by(row.id).limit(limits.fan_out)],
    }


def _smallest_changes(limits: BatchLimits) -> Select[int]:
    """Select rows of the smallest transactions among the latest rows: single changes first, whatever was committed
    beside them. Postgres stores the transaction that inserted a row in its `xmin`."""
    inserted_by: ColumnElement[str] = literal_column("outbox.xmin::text").label("inserted_by")
    latest = select(OutboxRow.id, inserted_by).where(*_IN_DIRECT, OutboxRow.attempts == 0)
    window = latest.order_by(OutboxRow.id.desc()).limit(limits.window).subquery()
    first, last = func.min(window.c.id).label("first"), func.max(window.c.id).label("last")
    size = func.count().label("size")
    transactions = select(window.c.inserted_by, first, last, size).group_by(window.c.inserted_by)
    transactions = transactions.having(size <= limits.largest).order_by(size, last.desc()).limit(limits.newest)
    small = transactions.subquery()
    # By ids, which have an index, rather than by all rows of the window once more.
    is_member = OutboxRow.id.between(small.c.first, small.c.last) & (small.c.inserted_by == inserted_by.element)
    members = select(OutboxRow.id).join(small, is_member).where(*_IN_DIRECT)
    return members.order_by(small.c.size, OutboxRow.id.desc()).limit(limits.newest)


def _copy_shares(limits: BatchLimits, *, retry: bool) -> dict[int, list[Share]]:
    """Return the same shares of the copies, whose ids count down."""
    row = OutboxCopy
    direct, fanned = (_claimable_copies(lane, retry=retry) for lane in (DIRECT, FANNED_OUT))
    return {
        DIRECT: [direct.order_by(row.id).limit(limits.newest), direct.order_by(row.id.desc()).limit(limits.oldest)],
        FANNED_OUT: [fanned.order_by(row.id.desc()).limit(limits.fan_out)],
    }


async def copy_per_version(
    connection: AsyncConnection, lanes: Collection[int], limits: BatchLimits, document_versions: Collection[str]
) -> None:
    """Replace departures of the lanes, up to the limits, by a copy for each of the document versions."""
    shares = _departure_shares(limits, retry=True)
    parts = [share.cte() for lane in lanes for share in shares.get(lane, ())]
    if not parts:
        return
    chosen = union(*(select(part.c.id) for part in parts))
    removed = delete(OutboxRow).where(OutboxRow.id.in_(chosen))
    rows = removed.returning(OutboxRow.row_id, OutboxRow.lane, OutboxRow.created_at).cte("split")
    names = bindparam("versions", sorted(document_versions), ARRAY(Text))
    versions = func.unnest(names).table_valued("document_version", name="versions").render_derived()
    copies = select(versions.c.document_version, rows.c.row_id, rows.c.lane, rows.c.created_at)
    copies = copies.join_from(rows, versions, true()).where(rows.c.row_id.is_not(None)).order_by(rows.c.created_at)
    columns = ["document_version", "row_id", "lane", "created_at"]
    await connection.execute(insert(OutboxCopy).from_select(columns, copies))


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


async def waiting_departures(connection: AsyncConnection, trip_ids: Collection[int]) -> set[int]:
    """Return those of the departures that wait in the outbox and that no other batch has claimed.

    None claims them before the transaction ends: whoever does so then reads what is committed by now.
    """
    row = OutboxRow
    found = select(row.row_id).where(row.kind == DEPARTURE, in_array(row.row_id, trip_ids))
    locked = found.with_for_update(read=True, key_share=True, skip_locked=True)
    return {trip_id for trip_id in await connection.scalars(locked) if trip_id is not None}


def claimed_otherwise(rows: Collection[ClaimedRow]) -> Select[int]:
    """Select other rows of these departures that were claimed, by a batch that runs, has failed or was killed."""
    row, claimed = OutboxRow, [row for row in rows if row.kind == DEPARTURE]
    return select(row.id).where(
        row.kind == DEPARTURE,
        in_array(row.row_id, {each.row_id for each in claimed}),
        ~in_array(row.id, [each.id for each in claimed]),
        or_(row.attempts > 0, ~_never_locked(row.__tablename__)),
    )


OUTBOX_IDS = any_(bindparam("ids", type_=ARRAY(BigInteger)))


async def remove(connection: AsyncConnection, row_ids: Iterable[int]) -> None:
    for table, ids in _by_table(row_ids):
        await connection.execute(delete(table).where(table.id == OUTBOX_IDS), {"ids": ids})


async def count_attempt(connection: AsyncConnection, row_ids: Iterable[int]) -> None:
    for table, ids in _by_table(row_ids):
        failed = update(table).where(table.id == OUTBOX_IDS).values(attempts=table.attempts + 1)
        await connection.execute(failed, {"ids": ids})


def _by_table(row_ids: Iterable[int]) -> Iterator[tuple[type[OutboxRow] | type[OutboxCopy], list[int]]]:
    """Group ids by their table: those of copies are negative."""
    ids = list(row_ids)
    groups: tuple[tuple[type[OutboxRow] | type[OutboxCopy], list[int]], ...] = (
        (OutboxRow, [row_id for row_id in ids if row_id >= 0]),
        (OutboxCopy, [row_id for row_id in ids if row_id < 0]),
    )
    return (group for group in groups if group[1])


async def purge_copies(connection: AsyncConnection) -> None:
    """Remove copies for document versions without an index, and all but the latest copy of each departure.

    Only rows that no batch has locked are considered: a batch that holds the latest copy may have read Postgres before
    the change of an earlier one was committed.
    """
    known = select(IndexTarget.mapping_hash)
    await connection.execute(delete(OutboxCopy).where(OutboxCopy.document_version.not_in(known)))
    row = select(OutboxCopy.id, OutboxCopy.document_version, OutboxCopy.row_id).with_for_update(skip_locked=True).cte()
    place = func.row_number().over(partition_by=(row.c.document_version, row.c.row_id), order_by=row.c.id)
    ranked = select(row.c.id, place.label("place")).subquery()
    await connection.execute(delete(OutboxCopy).where(OutboxCopy.id.in_(select(ranked.c.id).where(ranked.c.place > 1))))


async def save_cursor(connection: AsyncConnection, row_ids: Iterable[int], cursor: int) -> None:
    moved = update(OutboxRow).where(OutboxRow.id == OUTBOX_IDS).values(cursor=cursor)
    await connection.execute(moved, {"ids": list(row_ids)})


async def clear_dead_letters(
    connection: AsyncConnection, trip_ids: Iterable[int], *, except_for: Collection[int]
) -> None:
    """Delete the dead letters of departures that were written, or deleted: they came right without a retry."""
    ids = [trip_id for trip_id in trip_ids if trip_id not in except_for]
    if ids:
        right = delete(DeadLetter).where(DeadLetter.kind == DEPARTURE, in_array(DeadLetter.row_id, ids))
        await connection.execute(right)


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
