"""What batches have written to the index and caches were not notified of yet: a row for each batch until then.

A batch adds its row in the transaction that removes its outbox rows. Whichever worker writes one of these departures
next publishes their states with its own, so that each message holds all states since the last one that caches know.
"""

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct, ValidationError
from msgspec.json import Decoder, encode
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer import publisher_leases
from indexer.index import outbox
from indexer.index.outbox import ClaimedRow
from schemas.invalidation_message import DEPARTURE, DepartureChange
from schemas.tables import Publisher, UnpublishedChanges

MAX_ROWS = 200
"""Rows that are looked at: with more, of workers that cannot publish, nothing is known of any departure."""


class ListedChanges(Struct, frozen=True):
    """Departures before and after, with all states since what caches know: the JSON of a row."""

    since: int
    """The last generation known to be published before the first of the states before was read."""
    changed_at: datetime
    """Time of the first change (by the clock of Postgres)."""
    changes: Sequence[DepartureChange]


_id = UnpublishedChanges.id
_decode = Decoder(ListedChanges).decode


async def find(
    connection: AsyncConnection, rows: Collection[ClaimedRow], publisher: UUID | None, since: int
) -> ListedChanges | None:
    """Return what others than the publisher have written of the departures of these rows and not published yet.

    Call it after the write, with the generation that was known before the index was read.

    None if that is not known: another batch has begun to write them, or has failed or was killed while it did; a
    process is registered that does not record what it writes; or somebody wrote more than is listed.
    """
    departures = [row for row in rows if row.kind == DEPARTURE]
    trip_ids = {row.row_id for row in departures if row.row_id is not None}
    are_few = _are_few()
    is_known = ~outbox.claimed_otherwise(rows).exists() & ~publisher_leases.without_records().exists() & are_few
    found = func.array_agg(UnpublishedChanges.changes, type_=ARRAY(Text))
    others = (UnpublishedChanges.publisher != publisher) & _overlaps(trip_ids)
    # With `are_few`, which is evaluated once, so that many rows are not read.
    texts = select(found).where(are_few, others).scalar_subquery()
    # One statement: a batch that commits leaves the outbox and enters the table at once.
    known, unpublished = (await connection.execute(select(is_known, texts))).one()
    own = ListedChanges(since, min(row.created_at for row in departures), ())
    return _merge(own, unpublished or (), trip_ids) if known else None


def _are_few() -> ColumnElement[bool]:
    return ~select(_id).correlate(None).offset(MAX_ROWS).limit(1).exists()


def _overlaps(trip_ids: Collection[int]) -> ColumnElement[bool]:
    ids = bindparam("departures", [*trip_ids], ARRAY(BigInteger))
    return UnpublishedChanges.departures.op("&&", is_comparison=True)(ids)


def _merge(own: ListedChanges, texts: Iterable[str | None], trip_ids: Collection[int]) -> ListedChanges | None:
    """Return the changes of these departures, or None if one of the texts does not list them."""
    since, changed_at = own.since, own.changed_at
    changes: dict[bytes, DepartureChange] = {}
    for text in texts:
        try:
            listed = None if text is None else _decode(text)
        except ValidationError:
            # Of a release with other documents.
            listed = None
        if listed is None:
            return None
        # What a batch found unpublished is in its own row as well.
        changes |= {encode(change): change for change in listed.changes if change.id in trip_ids}
        since, changed_at = min(since, listed.since), min(changed_at, listed.changed_at)
    return ListedChanges(since, changed_at, [*changes.values()])


async def record(
    connection: AsyncConnection, publisher: UUID, trip_ids: Collection[int], listed: ListedChanges | None
) -> int:
    """Add the row of a batch that wrote these departures; return its id. `listed` are all of their changes, if known.

    A publisher that has lost its registration, because it stood still, is registered again.
    """
    registered = insert(Publisher).values(id=publisher, records_changes=True).on_conflict_do_nothing()
    text = None if listed is None else encode(listed).decode()
    # Not of a sequence: it would give the id of a row that a failed server has lost to another one.
    id_ = secrets.randbits(63)
    added = insert(UnpublishedChanges).values(id=id_, publisher=publisher, departures=[*trip_ids], changes=text)
    await connection.execute(added.add_cte(registered.cte("registered")))
    return id_


async def remove(connection: AsyncConnection, publisher: UUID, ids: Collection[int]) -> set[int]:
    """Remove rows of this publisher, which has published them; return the ids of those that were there."""
    found = _id == any_(bindparam("ids", [*ids], ARRAY(BigInteger)))
    removed = delete(UnpublishedChanges).where(found, UnpublishedChanges.publisher == publisher)
    return {*await connection.scalars(removed.returning(_id))}
