"""Changes of what many departures show, resolved to those departures piece by piece."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from elasticsearch import ApiError, AsyncElasticsearch, TransportError
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.index import outbox
from indexer.index.dependents import RELATED_KINDS, depends_on
from indexer.index.keyset import MIN_ID, database_ids, index_ids
from indexer.index.outbox import FAN_OUT, FANNED, ClaimedRow
from schemas.invalidation import EVERYTHING


@dataclass
class Expansion:
    finished: list[int] = field(default_factory=list)
    """Ids of the rows that have no more departures to add."""
    failed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Group:
    """Rows of one kind that are equally far."""

    kind: str
    cursor: int
    rows: list[ClaimedRow] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        return [row.id for row in self.rows]


async def expand_changes(
    connection: AsyncConnection, es: AsyncElasticsearch, indices: Sequence[str], rows: Iterable[ClaimedRow]
) -> Expansion:
    """Adds at most FAN_OUT departures to the second lane, and notes how far it came."""
    expansion = Expansion()
    room = FAN_OUT
    for group in _groups(rows):
        if room == 0:
            break
        if group.kind not in RELATED_KINDS:
            expansion.failed += group.ids
            continue
        try:
            trip_ids = await _dependents(connection, es, indices, group, room)
        except (ApiError, TransportError):
            expansion.failed += group.ids
            continue
        await outbox.enqueue(connection, trip_ids, lane=FANNED, since=min(row.created_at for row in group.rows))
        if len(trip_ids) < room:
            expansion.finished += group.ids
        else:
            await outbox.save_cursor(connection, group.ids, max(trip_ids))
        room -= len(trip_ids)
    return expansion


def _groups(rows: Iterable[ClaimedRow]) -> Collection[_Group]:
    groups: dict[tuple[str, int], _Group] = {}
    for row in rows:
        key = (row.kind, MIN_ID if row.cursor is None else row.cursor)
        groups.setdefault(key, _Group(*key)).rows.append(row)
    return groups.values()


async def _dependents(
    connection: AsyncConnection, es: AsyncElasticsearch, indices: Sequence[str], group: _Group, limit: int
) -> Sequence[int]:
    """The next departures, by id, that show one of the group's rows.

    One that comes to show it later, or with an id that was passed already, has an outbox row of its own.
    """
    if group.kind != EVERYTHING:
        condition = depends_on(group.kind, {row.row_id for row in group.rows})
        return await database_ids(connection, condition, after=group.cursor, limit=limit)
    if group.cursor == MIN_ID:
        await es.indices.refresh(index=list(indices), ignore_unavailable=True)
    ids = set(await database_ids(connection, after=group.cursor, limit=limit))
    for name in indices:
        ids.update(await index_ids(es, name, after=group.cursor, limit=limit))
    return sorted(ids)[:limit]
