"""Fan-out: resolve changes of related rows to the departures that depend on them, step by step."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from elasticsearch import ApiError, AsyncElasticsearch, TransportError
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.index import outbox
from indexer.index.dependents import RELATED_KINDS, depends_on
from indexer.index.keyset import MIN_ID, database_ids, index_ids
from indexer.index.outbox import FANNED_OUT, ClaimedRow
from schemas.invalidation_message import EVERYTHING

LOOK_AHEAD = 5000
"""Departures of a kind that are looked at for those that do not wait yet."""


@dataclass
class Expansion:
    """Ids of outbox rows. Those in neither list are expanded in part: their cursor is saved."""

    finished: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Group:
    """Rows of one kind that have the same cursor and are expanded by the same query."""

    kind: str
    cursor: int
    rows: list[ClaimedRow] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        return [row.id for row in self.rows]


async def expand_changes(
    connection: AsyncConnection,
    es: AsyncElasticsearch,
    indices: Sequence[str],
    rows: Iterable[ClaimedRow],
    limit: int,
) -> Expansion:
    """Add at most `limit` departures that depend on the rows to the lane `FANNED_OUT`, and save the cursors.

    Those that wait in the outbox anyway are left out: after an import that may be all of them, for each kind of row.
    """
    expansion = Expansion()
    for group in _groups(rows):
        if limit == 0:
            break
        try:
            found = await _dependents(connection, es, indices, group, LOOK_AHEAD)
        except (_UnknownKindError, ApiError, TransportError):
            expansion.failed += group.ids
            continue
        waiting = await outbox.waiting_departures(connection, found)
        missing = [trip_id for trip_id in found if trip_id not in waiting]
        added, left = missing[:limit], missing[limit:]
        await outbox.enqueue(connection, added, lane=FANNED_OUT, since=min(row.created_at for row in group.rows))
        if left or len(found) == LOOK_AHEAD:
            await outbox.save_cursor(connection, group.ids, added[-1] if left else found[-1])
        else:
            expansion.finished += group.ids
        limit -= len(added)
    return expansion


def _groups(rows: Iterable[ClaimedRow]) -> Collection[_Group]:
    groups: dict[tuple[str, int], _Group] = {}
    for row in rows:
        key = (row.kind, MIN_ID if row.cursor is None else row.cursor)
        groups.setdefault(key, _Group(*key)).rows.append(row)
    return groups.values()


class _UnknownKindError(Exception):
    """The kind comes from a newer version of this program, whose worker will handle the row."""


async def _dependents(
    connection: AsyncConnection, es: AsyncElasticsearch, indices: Sequence[str], group: _Group, limit: int
) -> list[int]:
    """Return the next departures, by id, that depend on one of the group's rows.

    A departure that comes to depend on one later, or is inserted with an id below the cursor, has an outbox row of its
    own.
    """
    if group.kind not in RELATED_KINDS:
        raise _UnknownKindError
    if group.kind == EVERYTHING:
        return await _all_departures(connection, es, indices, group.cursor, limit)
    condition = depends_on(group.kind, {row.row_id for row in group.rows})
    return await database_ids(connection, condition, after=group.cursor, limit=limit)


async def _all_departures(
    connection: AsyncConnection, es: AsyncElasticsearch, indices: Sequence[str], after: int, limit: int
) -> list[int]:
    """Return the next departures, by id, that are in Postgres or in an index."""
    if after == MIN_ID:
        await es.indices.refresh(index=list(indices), ignore_unavailable=True)
    ids = set(await database_ids(connection, after=after, limit=limit))
    for name in indices:
        ids.update(await index_ids(es, name, after=after, limit=limit))
    return sorted(ids)[:limit]
