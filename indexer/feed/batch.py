"""One batch of the feed: claim, take a version, then read, write to every index, and only then forget the rows."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import structlog
from elasticsearch import ApiError, TransportError
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from indexer.errors import ForeignIndexError, IncompatibleDocumentsError, NoLiveIndexError
from indexer.feed import fan_out
from indexer.index import bulk_writer, locks, outbox, targets, versions
from indexer.index.bulk_writer import WriteOutcome
from indexer.index.locks import STALLED_AFTER
from indexer.index.outbox import CAUSES, DIRECT, LANES, ClaimedRow
from indexer.index.reconcile import IndexProblem, check_origin
from indexer.index.targets import Target, TargetState
from schemas.invalidation import DEPARTURE

log = structlog.get_logger()

HISTORY_CHECKED = "smarttrip_history_checked"

UPSTREAM_CHANGE_TIMEOUT = 0.5
"""Seconds that a batch of causes waits for Elasticsearch: it writes to no index, and caches wait for it."""

PREVIOUS_INDEX_MAX_ATTEMPTS = 8
"""Attempts after which the previous index, kept for a rollback, may no longer hold up the one in use."""


class BatchStalled(Exception):  # noqa: N818  # the whole batch is called off, nothing is wrong with it
    """The process stood still between reading and writing: what it read may be older than a deletion's memory."""


@dataclass
class WriteResult:
    """What became of departures, over all indices."""

    kept: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    """Indices that are no longer worth writing to."""
    live_missing: bool = False


@dataclass
class BatchResult:
    """The claimed rows that are neither done nor kept are fan-outs with more to come."""

    claimed: Sequence[ClaimedRow] = ()
    done: Sequence[ClaimedRow] = ()
    kept: Sequence[ClaimedRow] = ()
    written: WriteResult = field(default_factory=WriteResult)

    @property
    def failed(self) -> bool:
        """Nothing of it could be done."""
        return bool(self.kept) and len(self.kept) == len(self.claimed)


async def process_batch(stores: Backends, lanes: Collection[int] = LANES, *, retry: bool) -> BatchResult:
    """Raises Untrusted, Stalled, and what the servers raise; the rows then stay as they were."""
    started = time.monotonic()
    rows: list[ClaimedRow] = []
    try:
        async with stores.postgres.begin() as connection:
            await locks.enter_batch(connection)
            written_to = _writable_targets(await targets.read_targets(connection))
            await _check_database_history(
                connection, _with_short_timeout(stores) if set(lanes) == {CAUSES} else stores, written_to
            )
            rows += await outbox.claim(connection, lanes, retry=retry)
            return await _handle(connection, stores, written_to, rows, deadline=started + STALLED_AFTER)
    finally:
        if time.monotonic() > started + STALLED_AFTER:
            await _reenqueue(stores, _trip_ids(rows))


def _with_short_timeout(stores: Backends) -> Backends:
    """For batches of causes."""
    return replace(stores, elasticsearch=stores.elasticsearch.options(request_timeout=UPSTREAM_CHANGE_TIMEOUT))


def _writable_targets(known: Sequence[Target]) -> list[Target]:
    for target in known:
        if target.state is not TargetState.PREVIOUS and not target.is_compatible:
            raise IncompatibleDocumentsError(target.name)
    writable = [target for target in known if target.is_compatible]
    if all(target.state is TargetState.PREVIOUS for target in writable):
        raise NoLiveIndexError
    return writable


async def _check_database_history(connection: AsyncConnection, stores: Backends, written_to: list[Target]) -> None:
    """Before the first write on each connection: one to a Postgres that was set back is always a new one."""
    assert connection.sync_connection is not None
    info = connection.sync_connection.info
    if HISTORY_CHECKED in info:
        return
    live = [target.name for target in written_to if target.state is TargetState.LIVE]
    try:
        # On this very connection: followers that each waited for one more would leave a small pool none.
        faults = {name: await check_origin(stores, name, connection) for name in live}
    except (ApiError, TransportError):
        # A server that can't be asked takes no writes either; causes go on without it.
        return
    for name, fault in faults.items():
        if fault in (IndexProblem.OTHER_POSTGRES, IndexProblem.SET_BACK):
            raise ForeignIndexError(name, fault)
    info[HISTORY_CHECKED] = True


async def _handle(
    connection: AsyncConnection, stores: Backends, written_to: list[Target], rows: list[ClaimedRow], *, deadline: float
) -> BatchResult:
    departures = [row for row in rows if row.kind == DEPARTURE]
    names = [target.name for target in written_to]
    expansion = await fan_out.expand_changes(
        connection, stores.elasticsearch, names, [row for row in rows if row.kind != DEPARTURE]
    )
    outcomes = await _write(stores, names, _trip_ids(rows), deadline=deadline)
    written = _merge_outcomes(
        written_to, outcomes, patient=all(row.attempts < PREVIOUS_INDEX_MAX_ATTEMPTS for row in departures)
    )
    kept = {row.id for row in departures if row.row_id in written.kept}.union(expansion.failed)
    done = {row.id for row in departures}.union(expansion.finished) - kept
    batch = BatchResult(rows, [row for row in rows if row.id in done], [row for row in rows if row.id in kept], written)
    await _finish(connection, batch)
    return batch


async def _write(
    stores: Backends, names: list[str], trip_ids: list[int], *, deadline: float
) -> dict[str, WriteOutcome]:
    """A departure that is gone, or can't be shown as it is now, is removed from the indices."""
    if not trip_ids:
        return {name: WriteOutcome() for name in names}
    version = await versions.next_version(stores.postgres)
    async with snapshot(stores.postgres) as connection:
        reading = await build_documents(connection, trip_ids)
        if time.monotonic() > deadline:
            raise BatchStalled
        changes = {trip_id: reading.documents.get(trip_id) for trip_id in trip_ids}
        outcomes = await bulk_writer.write(stores.elasticsearch, names, version, changes)
        unwanted = {trip_id for outcome in outcomes.values() for trip_id in outcome.rejected}
        removals = await bulk_writer.write(stores.elasticsearch, names, version, dict.fromkeys(unwanted))
    for name, outcome in outcomes.items():
        outcome.add(removals[name])
        outcome.rejected |= reading.rejected
    return outcomes


def _merge_outcomes(written_to: list[Target], outcomes: dict[str, WriteOutcome], *, patient: bool) -> WriteResult:
    """All of an index in use or being built counts; the previous one only as long as it keeps up."""
    written = WriteResult()
    for target in sorted(written_to, key=lambda target: target.state is TargetState.PREVIOUS):
        outcome = outcomes[target.name]
        lags_alone = target.state is TargetState.PREVIOUS and bool(outcome.retryable.keys() - written.kept.keys())
        if target.state is TargetState.LIVE:
            written.live_missing = outcome.index_missing
        elif outcome.index_missing or (lags_alone and not patient):
            written.lost.append(target.name)
            continue
        written.kept |= outcome.retryable
        written.refused |= outcome.rejected
    return written


async def _finish(connection: AsyncConnection, batch: BatchResult) -> None:
    written = batch.written
    if written.lost:
        log.warning("index_given_up", names=written.lost)
        await targets.remove(connection, written.lost)
    if written.refused:
        log.error("departures_refused", reasons=written.refused)
        await outbox.move_to_dead_letters(connection, batch.done, written.refused)
    if batch.kept:
        await outbox.count_attempt(connection, [row.id for row in batch.kept])
    if batch.done:
        await outbox.remove(connection, [row.id for row in batch.done])


async def _reenqueue(stores: Backends, trip_ids: list[int]) -> None:
    """What a batch wrote after it stood still may have brought back what was deleted and forgotten meanwhile."""
    log.warning("batch_stalled", departures=len(trip_ids))
    async with stores.postgres.begin() as connection:
        await outbox.enqueue(connection, trip_ids, lane=DIRECT)


def _trip_ids(rows: Sequence[ClaimedRow]) -> list[int]:
    return sorted({row.row_id for row in rows if row.kind == DEPARTURE and row.row_id is not None})
