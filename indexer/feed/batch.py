"""One batch of the outbox: claim rows, take a version, read, write to every index, and only then delete the rows."""

from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass, field, replace
from time import monotonic
from uuid import UUID

import structlog
from elasticsearch import ApiError, TransportError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.metrics.labels import OTHER, with_values
from core.tracing import spans
from indexer import metrics, unpublished_changes
from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from indexer.errors import ForeignIndexError, IncompatibleDocumentsError, NoLiveIndexError
from indexer.feed import changed_departures, fan_out
from indexer.feed.batch_span import batch_span
from indexer.feed.changed_departures import Before
from indexer.feed.wait_reasons import reason_of
from indexer.index import bulk_writer, locks, outbox, rejections, targets, versions
from indexer.index.bulk_writer import Changes, WriteOutcome
from indexer.index.outbox import DEFAULT_LIMITS, DIRECT, LANES, UPSTREAM, BatchLimits, ClaimedRow
from indexer.index.reconcile import IndexProblem, check_origin
from indexer.index.targets import Target, TargetState
from indexer.unpublished_changes import ListedChanges
from schemas.index_document import DOCUMENT_VERSION
from schemas.invalidation_message import DEPARTURE

log = structlog.get_logger()

with_values(metrics.REFUSALS, TargetState, (*bulk_writer.REASONS, OTHER))

HISTORY_CHECKED = "smarttrip_history_checked"
"""Key in a connection's `info`: its database was compared with the live index."""

UPSTREAM_CHANGE_TIMEOUT = 0.5
"""Seconds that a batch of upstream changes waits for Elasticsearch: it writes to no index, and caches wait for it."""

PREVIOUS_INDEX_MAX_ATTEMPTS = 8
"""Attempts on a row after which the previous index, which only serves rollbacks, no longer blocks the live one."""


MAX_ATTEMPTS = 15
"""Attempts on a departure, over a minute, after which it is dead-lettered if the index accepts others."""


class BatchStalledError(Exception):
    """The batch was aborted, unwritten: what it read may be older than the tombstones of later deletions."""


@dataclass
class WriteResult:
    """The merged outcome of the writes to all indices."""

    retryable: dict[int, str] = field(default_factory=dict)
    """Reasons of temporary failures, by departure id."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Reasons of permanent rejections, by departure id."""
    abandoned: list[str] = field(default_factory=list)
    """Indices to which nothing is written any more."""
    live_missing: bool = False
    """The live index does not exist."""
    live_takes_all: bool = False
    """The live index has taken everything that was written: only others, which no search uses, may have not."""


@dataclass
class BatchResult:
    """Outbox rows by outcome. Claimed rows that are neither done nor failed are fan-outs that go on later."""

    claimed: Sequence[ClaimedRow] = ()
    done: Sequence[ClaimedRow] = ()
    failed: Sequence[ClaimedRow] = ()
    written: WriteResult = field(default_factory=WriteResult)
    listed: ListedChanges | None = None
    """The departures that are done, before and after; None if that is not known."""
    record: int | None = None
    """Id of the row of unpublished changes in Postgres."""
    trace: str = ""
    """Trace of the batch; empty if it is not recorded."""

    @property
    def failed_entirely(self) -> bool:
        return bool(self.failed) and len(self.failed) == len(self.claimed)

    @property
    def may_be_followed(self) -> bool:
        """Whether the live index takes changes, so that the next ones need not wait until these are tried again."""
        return not self.failed_entirely or (bool(self.written.retryable) and self.written.live_takes_all)


async def process_batch(  # noqa: PLR0913  # each is independent of the others
    backends: Backends,
    lanes: Collection[int] = LANES,
    limits: BatchLimits = DEFAULT_LIMITS,
    *,
    retry: bool,
    publisher: UUID | None = None,
    since: int = 0,
    before_commit: Callable[[BatchResult], None] | None = None,
) -> BatchResult:
    """Process one batch of the lanes; rows that failed before are included only with `retry`.

    What it writes is recorded as unpublished for the `publisher`, without which no changes are listed; `since` is the
    last generation that it knows to be published. `before_commit` is called with the result, which others may see
    before this returns, or if it raises an error.
    Raises: IndexNotWritableError, BatchStalledError, and errors of the backends; the rows then stay unchanged.
    """
    started = monotonic()
    rows: list[ClaimedRow] = []
    try:
        async with backends.postgres.begin() as connection:
            await locks.enter_batch(connection, limits.stalled_after)
            known = await targets.read_targets(connection)
            writable = _writable_targets(known)
            await _check_database_history(
                connection, _with_short_timeout(backends) if set(lanes) == {UPSTREAM} else backends, writable
            )
            rows += await _claim(connection, lanes, limits, targets.other_versions(known), retry=retry)
            with batch_span(rows, lanes) as span:
                expansion = await _expand(connection, backends, known, rows, limits.fan_out)
                before = await _read_before(backends, known, writable, rows) if publisher else None
                repeatedly_failed = {
                    row.row_id for row in rows if row.kind == DEPARTURE and row.attempts >= MAX_ATTEMPTS
                }
                documents, outcomes = await _write(
                    backends,
                    writable,
                    _trip_ids(rows),
                    started + limits.stalled_after,
                    repeatedly_failed,
                )
                batch = _result(rows, expansion, _merge_outcomes(writable, outcomes, rows), span.trace)
                if before is not None and not (batch.failed or batch.written.rejected):
                    unpublished = await unpublished_changes.find(connection, rows, publisher, since)
                    batch.listed = changed_departures.compare(before, documents, unpublished)
                await _finish(connection, batch)
                if publisher is not None and (written := _trip_ids(batch.done)):
                    batch.record = await unpublished_changes.record(connection, publisher, written, batch.listed)
            if before_commit is not None:
                before_commit(batch)
        return batch
    finally:
        if monotonic() > started + limits.stalled_after:
            await _reenqueue(backends, _trip_ids(rows))


def _with_short_timeout(backends: Backends) -> Backends:
    return replace(backends, elasticsearch=backends.elasticsearch.options(request_timeout=UPSTREAM_CHANGE_TIMEOUT))


async def _claim(
    connection: AsyncConnection, lanes: Collection[int], limits: BatchLimits, other_versions: set[str], *, retry: bool
) -> list[ClaimedRow]:
    """Claim rows. While other document versions have indexes, each version gets its own copies of the departures."""
    if other_versions:
        await outbox.copy_per_version(connection, lanes, limits, {str(DOCUMENT_VERSION), *other_versions})
    return await outbox.claim(connection, lanes, limits, retry=retry, copies_only=bool(other_versions))


def _writable_targets(known: Sequence[Target]) -> list[Target]:
    """Return the targets of this program's document version.

    Raises: IncompatibleDocumentsError, NoLiveIndexError.
    """
    writable = [target for target in known if target.is_compatible]
    if known and not writable:
        raise IncompatibleDocumentsError(known[-1].name)
    if all(target.state is TargetState.PREVIOUS for target in writable):
        raise NoLiveIndexError
    return writable


async def _check_database_history(connection: AsyncConnection, backends: Backends, writable: list[Target]) -> None:
    """Check that the live index was made from this database and not from a later state of it.

    Each batch checks whether the database is still the one that was compared; if not, it compares again. So does the
    first batch of each connection: other processes may have written versions that this one has not seen.
    Raises: ForeignIndexError.
    """
    assert connection.sync_connection is not None
    info = connection.sync_connection.info
    if await versions.is_known(backends.history, connection) and HISTORY_CHECKED in info:
        return
    state = await versions.database_state(connection)
    live = [target.name for target in writable if target.state is TargetState.LIVE]
    try:
        # On this connection: consumers that each waited for a second one could exhaust a small pool.
        problems = {name: await check_origin(backends, name, connection) for name in live}
    except (ApiError, TransportError):
        # An Elasticsearch that is down takes no writes either; upstream changes go on without it.
        return
    for name, problem in problems.items():
        if problem in (IndexProblem.OTHER_POSTGRES, IndexProblem.SET_BACK):
            raise ForeignIndexError(name, problem)
    versions.accept(backends.history, state)
    info[HISTORY_CHECKED] = True


async def _expand(
    connection: AsyncConnection, backends: Backends, known: list[Target], rows: list[ClaimedRow], limit: int
) -> fan_out.Expansion:
    changes = [row for row in rows if row.kind != DEPARTURE]
    # Of all document versions: departures that only an index has must leave each of them.
    names = [target.name for target in known]
    return await fan_out.expand_changes(connection, backends.elasticsearch, names, changes, limit)


async def _read_before(
    backends: Backends,
    known: Sequence[Target],
    writable: Sequence[Target],
    rows: Sequence[ClaimedRow],
) -> Before | None:
    """Return what the live index has of the departures to be written.

    None if caches cannot be told exactly what changed: rows that were claimed before, several document versions, no
    index.
    """
    trip_ids = _trip_ids(rows)
    live = [target.name for target in writable if target.state is TargetState.LIVE]
    # A copy of a row does not tell whether the row was claimed before.
    if not trip_ids or not live or targets.other_versions(known) or not changed_departures.are_comparable(rows):
        return None
    return await changed_departures.read_before(backends.elasticsearch, live[0], trip_ids)


async def _write(
    backends: Backends,
    writable: Sequence[Target],
    trip_ids: list[int],
    deadline: float,
    repeatedly_failed: Set[int | None] = frozenset(),
) -> tuple[Changes, dict[str, WriteOutcome]]:
    """Write departures as they are now; those that are deleted, invalid or rejected are removed from the indices.

    A departure of `repeatedly_failed` counts as rejected if it fails again while the index accepts others. Return what
    was written, and the outcomes by index.
    """
    names = [target.name for target in writable]
    if not trip_ids:
        return {}, {name: WriteOutcome() for name in names}
    unsearched = {target.name for target in writable if target.state is not TargetState.LIVE}
    version = await versions.next_version(backends.postgres)
    versions.record_taken(backends.history, version)
    async with snapshot(backends.postgres) as connection:
        with spans.span("read departures", {"smarttrip.departures": len(trip_ids)}):
            built = await build_documents(connection, trip_ids)
        if monotonic() > deadline:
            raise BatchStalledError
        changes = {trip_id: built.documents.get(trip_id) for trip_id in trip_ids}
        outcomes = await bulk_writer.write(backends.elasticsearch, names, version, changes, unsearched)
        for name, outcome in outcomes.items():
            again = {trip_id: changes[trip_id] for trip_id in changes.keys() & repeatedly_failed}
            await rejections.reject_repeatedly_failing(backends.elasticsearch, name, version, again, outcome)
            await _retry_if_index_rejects_all(backends, name, outcome)
        rejected = {trip_id for outcome in outcomes.values() for trip_id in outcome.rejected}
        removed = dict.fromkeys(rejected)
        removals = await bulk_writer.write(backends.elasticsearch, names, version, removed, unsearched)
    for name, outcome in outcomes.items():
        outcome.add(removals[name])
        outcome.rejected |= built.rejected
    return changes, outcomes


async def _retry_if_index_rejects_all(backends: Backends, name: str, outcome: WriteOutcome) -> None:
    reason = await rejections.retry_if_index_rejects_all(backends.elasticsearch, name, outcome)
    if reason is not None:
        log.error("index_rejects_documents", name=name, count=len(outcome.retryable), reason=reason)
        metrics.INDEX_REJECTIONS.inc()


def _merge_outcomes(
    writable: list[Target], outcomes: dict[str, WriteOutcome], rows: Sequence[ClaimedRow]
) -> WriteResult:
    """Merge the outcomes of all indices, and abandon those that are missing, or previous and failing for long."""
    is_long = any(row.attempts >= PREVIOUS_INDEX_MAX_ATTEMPTS for row in rows if row.kind == DEPARTURE)
    written = WriteResult()
    for target in sorted(writable, key=lambda target: target.state is TargetState.PREVIOUS):
        outcome = outcomes[target.name]
        _count_refusals(target, outcome)
        fails_alone = target.state is TargetState.PREVIOUS and bool(outcome.retryable.keys() - written.retryable.keys())
        if target.state is TargetState.LIVE:
            written.live_missing = outcome.index_missing
            written.live_takes_all = not outcome.retryable
        elif outcome.index_missing or (fails_alone and is_long):
            written.abandoned.append(target.name)
            continue
        written.retryable |= outcome.retryable
        written.rejected |= outcome.rejected
    return written


def _count_refusals(target: Target, outcome: WriteOutcome) -> None:
    for reason in (*outcome.retryable.values(), *outcome.rejected.values()):
        metrics.REFUSALS.labels(target.state, bulk_writer.reason_label(reason)).inc()


def _result(rows: list[ClaimedRow], expansion: fan_out.Expansion, written: WriteResult, trace: str) -> BatchResult:
    departures = [row for row in rows if row.kind == DEPARTURE]
    failed = {row.id for row in departures if row.row_id in written.retryable}.union(expansion.failed)
    done = {row.id for row in departures}.union(expansion.finished) - failed
    return BatchResult(
        claimed=rows,
        done=[row for row in rows if row.id in done],
        failed=[row for row in rows if row.id in failed],
        written=written,
        trace=trace,
    )


async def _finish(connection: AsyncConnection, batch: BatchResult) -> None:
    written = batch.written
    if written.abandoned:
        log.warning("index_given_up", names=written.abandoned)
        await targets.remove(connection, written.abandoned)
    if written.rejected:
        log.error("departures_refused", reasons=written.rejected)
        await outbox.insert_dead_letters(connection, batch.done, written.rejected)
    if written.retryable:
        reason = next(iter(written.retryable.values()))
        log.warning("departures_put_off", count=len(written.retryable), because=reason_of(reason), reason=reason)
    if batch.failed:
        await outbox.count_attempt(connection, [row.id for row in batch.failed])
    if batch.done:
        await outbox.clear_dead_letters(connection, _trip_ids(batch.done), except_for=written.rejected)
        await outbox.remove(connection, [row.id for row in batch.done])


async def _reenqueue(backends: Backends, trip_ids: list[int]) -> None:
    """Enqueue the departures of a stalled batch again.

    Its late writes may have restored documents whose deletion, and the tombstone of it, is over.
    """
    log.warning("batch_stalled", departures=len(trip_ids))
    async with backends.postgres.begin() as connection:
        await outbox.enqueue(connection, trip_ids, lane=DIRECT)


def _trip_ids(rows: Sequence[ClaimedRow]) -> list[int]:
    return sorted({row.row_id for row in rows if row.kind == DEPARTURE and row.row_id is not None})
