"""One batch of the feed: claim, take a version, then read, write to every index, and only then forget the rows."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import structlog
from elasticsearch import ApiError, TransportError
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.backends import Stores
from indexer.documents.builder import read_documents
from indexer.documents.rows import snapshot
from indexer.errors import ForeignIndex, NoLiveIndex, OtherDocuments
from indexer.feed import fan_out
from indexer.index import bulk_writer, outbox, targets, versions
from indexer.index.bulk_writer import Outcome
from indexer.index.outbox import CAUSES, DIRECT, LANES, OCCURRENCE, Claimed
from indexer.index.reconcile import Fault, foreign
from indexer.index.targets import STALLED_AFTER, State, Target

log = structlog.get_logger()

HISTORY_CHECKED = "smarttrip_history_checked"

HASTE = 0.5
"""Seconds that a batch of causes waits for Elasticsearch: it writes to no index, and caches wait for it."""

PATIENCE_WITH_PREVIOUS = 8
"""Attempts after which the previous index, kept for a rollback, may no longer hold up the one in use."""


class Stalled(Exception):  # noqa: N818  # the whole batch is called off, nothing is wrong with it
    """The process stood still between reading and writing: what it read may be older than a deletion's memory."""


@dataclass
class Written:
    """What became of departures, over all indices."""

    kept: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    """Indices that are no longer worth writing to."""
    live_missing: bool = False


@dataclass
class Batch:
    """The claimed rows that are neither done nor kept are fan-outs with more to come."""

    claimed: Sequence[Claimed] = ()
    done: Sequence[Claimed] = ()
    kept: Sequence[Claimed] = ()
    written: Written = field(default_factory=Written)

    @property
    def failed(self) -> bool:
        """Nothing of it could be done."""
        return bool(self.kept) and len(self.kept) == len(self.claimed)


async def process(stores: Stores, lanes: Collection[int] = LANES, *, retry: bool) -> Batch:
    """Raises Untrusted, Stalled, and what the servers raise; the rows then stay as they were."""
    started = time.monotonic()
    rows: list[Claimed] = []
    try:
        async with stores.postgres.begin() as connection:
            await targets.join_batches(connection)
            written_to = _writable(await targets.read_targets(connection))
            await _check_history(connection, _in_haste(stores) if set(lanes) == {CAUSES} else stores, written_to)
            rows += await outbox.claim(connection, lanes, retry=retry)
            return await _handle(connection, stores, written_to, rows, deadline=started + STALLED_AFTER)
    finally:
        if time.monotonic() > started + STALLED_AFTER:
            await _read_again(stores, _trip_ids(rows))


def _in_haste(stores: Stores) -> Stores:
    """For batches of causes."""
    return replace(stores, elasticsearch=stores.elasticsearch.options(request_timeout=HASTE))


def _writable(known: Sequence[Target]) -> list[Target]:
    for target in known:
        if target.state is not State.PREVIOUS and not target.ours:
            raise OtherDocuments(target.name)
    writable = [target for target in known if target.ours]
    if all(target.state is State.PREVIOUS for target in writable):
        raise NoLiveIndex
    return writable


async def _check_history(connection: AsyncConnection, stores: Stores, written_to: list[Target]) -> None:
    """Before the first write on each connection: one to a Postgres that was set back is always a new one."""
    assert connection.sync_connection is not None
    info = connection.sync_connection.info
    if HISTORY_CHECKED in info:
        return
    live = [target.name for target in written_to if target.state is State.LIVE]
    try:
        # On this very connection: followers that each waited for one more would leave a small pool none.
        faults = {name: await foreign(stores, name, connection) for name in live}
    except (ApiError, TransportError):
        # A server that can't be asked takes no writes either; causes go on without it.
        return
    for name, fault in faults.items():
        if fault in (Fault.OTHER_POSTGRES, Fault.SET_BACK):
            raise ForeignIndex(name, fault)
    info[HISTORY_CHECKED] = True


async def _handle(
    connection: AsyncConnection, stores: Stores, written_to: list[Target], rows: list[Claimed], *, deadline: float
) -> Batch:
    departures = [row for row in rows if row.kind == OCCURRENCE]
    names = [target.name for target in written_to]
    expansion = await fan_out.expand(
        connection, stores.elasticsearch, names, [row for row in rows if row.kind != OCCURRENCE]
    )
    outcomes = await _write(stores, names, _trip_ids(rows), deadline=deadline)
    written = _judge(written_to, outcomes, patient=all(row.attempts < PATIENCE_WITH_PREVIOUS for row in departures))
    kept = {row.id for row in departures if row.row_id in written.kept}.union(expansion.failed)
    done = {row.id for row in departures}.union(expansion.finished) - kept
    batch = Batch(rows, [row for row in rows if row.id in done], [row for row in rows if row.id in kept], written)
    await _settle(connection, batch)
    return batch


async def _write(stores: Stores, names: list[str], trip_ids: list[int], *, deadline: float) -> dict[str, Outcome]:
    """A departure that is gone, or can't be shown as it is now, is removed from the indices."""
    if not trip_ids:
        return {name: Outcome() for name in names}
    version = await versions.take(stores.postgres)
    async with snapshot(stores.postgres) as connection:
        reading = await read_documents(connection, trip_ids)
        if time.monotonic() > deadline:
            raise Stalled
        changes = {trip_id: reading.documents.get(trip_id) for trip_id in trip_ids}
        outcomes = await bulk_writer.write(stores.elasticsearch, names, version, changes)
        unwanted = {trip_id for outcome in outcomes.values() for trip_id in outcome.refused}
        removals = await bulk_writer.write(stores.elasticsearch, names, version, dict.fromkeys(unwanted))
    for name, outcome in outcomes.items():
        outcome.add(removals[name])
        outcome.refused |= reading.refused
    return outcomes


def _judge(written_to: list[Target], outcomes: dict[str, Outcome], *, patient: bool) -> Written:
    """All of an index in use or being built counts; the previous one only as long as it keeps up."""
    written = Written()
    for target in sorted(written_to, key=lambda target: target.state is State.PREVIOUS):
        outcome = outcomes[target.name]
        lags_alone = target.state is State.PREVIOUS and bool(outcome.kept.keys() - written.kept.keys())
        if target.state is State.LIVE:
            written.live_missing = outcome.missing
        elif outcome.missing or (lags_alone and not patient):
            written.lost.append(target.name)
            continue
        written.kept |= outcome.kept
        written.refused |= outcome.refused
    return written


async def _settle(connection: AsyncConnection, batch: Batch) -> None:
    written = batch.written
    if written.lost:
        log.warning("index_given_up", names=written.lost)
        await targets.forget(connection, written.lost)
    if written.refused:
        log.error("departures_refused", reasons=written.refused)
        await outbox.bury(connection, batch.done, written.refused)
    if batch.kept:
        await outbox.count_attempt(connection, [row.id for row in batch.kept])
    if batch.done:
        await outbox.remove(connection, [row.id for row in batch.done])


async def _read_again(stores: Stores, trip_ids: list[int]) -> None:
    """What a batch wrote after it stood still may have brought back what was deleted and forgotten meanwhile."""
    log.warning("batch_stalled", departures=len(trip_ids))
    async with stores.postgres.begin() as connection:
        await outbox.enqueue(connection, trip_ids, lane=DIRECT)


def _trip_ids(rows: Sequence[Claimed]) -> list[int]:
    return sorted({row.row_id for row in rows if row.kind == OCCURRENCE and row.row_id is not None})
