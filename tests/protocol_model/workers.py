"""A worker, which processes batches of outbox rows as indexer.feed.batch and indexer.feed.fan_out do."""

from collections.abc import Collection, Generator, Sequence
from dataclasses import replace

from tests.protocol_model.elasticsearch import Changes
from tests.protocol_model.postgres import BATCHES, TABLE, Kind, OutboxRow, State, Transaction, TransactionTimedOut
from tests.protocol_model.simulation import STALLED_AFTER, Simulation, Steps

CLAIM_LIMIT = 3
FAN_OUT_LIMIT = 2
"""Maximum number of departures to which a batch resolves fan-outs."""
STATEMENTS_PER_READ = 3
"""Statements of a read after the first, all in its snapshot."""


class BatchStalled(Exception):  # noqa: N818
    """The process stalled between read and write."""


def worker(simulation: Simulation, name: str) -> Steps:
    while True:
        simulation.idle.add(name)
        yield
        simulation.idle.discard(name)
        yield from batch(simulation, name)


def batch(simulation: Simulation, name: str) -> Steps:
    started = simulation.now
    rows: list[OutboxRow] = []
    try:
        yield from _process(simulation, name, rows, started)
    except (TransactionTimedOut, BatchStalled):
        simulation.seen["stalled"] += 1
        simulation.postgres.disconnect(name)
    if simulation.is_stalled(started) and simulation.rules.stalled_batches_reenqueue:
        yield
        transaction = simulation.postgres.begin(name)
        simulation.postgres.enqueue(transaction, Kind.DEPARTURE, _keys(rows))
        simulation.postgres.commit(transaction)


def _process(simulation: Simulation, name: str, rows: list[OutboxRow], started: int) -> Steps:
    postgres = simulation.postgres
    transaction = postgres.begin(name, idle_limit=STALLED_AFTER)
    while not postgres.lock(transaction, BATCHES, shared=True):
        yield
    yield
    targets = dict(postgres.targets)
    if not simulation.rules.batches_write_to_all_targets:
        targets = {index: state for index, state in targets.items() if state is State.LIVE}
    yield
    rows += postgres.claim(transaction, CLAIM_LIMIT)
    if not rows:
        postgres.end(transaction)
        return
    if not simulation.rules.rows_deleted_after_write:
        transaction.outbox.update({row.id: None for row in rows})
        postgres.commit(transaction)
        transaction = postgres.begin(name)
    yield
    finished = yield from _expand(simulation, transaction, targets, rows)
    rejected = yield from write(simulation, name, targets, _keys(rows), started)
    done = [row for row in rows if (row.key not in rejected if row.kind is Kind.DEPARTURE else row in finished)]
    transaction.outbox.update({row.id: None for row in done})
    if not simulation.rules.rows_deleted_by_id and not rejected:
        postgres.cursor_position = max([postgres.cursor_position, *(row.id for row in done)])
    yield
    postgres.commit(transaction)
    simulation.seen["processed"] += len(done)
    simulation.check_continuously()


def _keys(rows: Sequence[OutboxRow]) -> list[int]:
    return sorted({row.key for row in rows if row.kind is Kind.DEPARTURE})


def _expand(
    simulation: Simulation, transaction: Transaction, targets: Collection[str], rows: Sequence[OutboxRow]
) -> Generator[None, None, list[OutboxRow]]:
    """Enqueue departures of fan-out rows, and return the rows that are done."""
    finished: list[OutboxRow] = []
    space = FAN_OUT_LIMIT
    for row in rows:
        if row.kind is Kind.DEPARTURE or space == 0:
            continue
        found = simulation.postgres.dependents(None if row.kind is Kind.ALL else row.key, row.cursor, space)
        if row.kind is Kind.ALL:
            yield
            indexed = {
                key for name in targets if name in simulation.indices for key in simulation.indices[name].documents
            }
            found = sorted({*found, *(key for key in indexed if key > row.cursor)})[:space]
        waiting = simulation.postgres.waiting(transaction, found, claimed=not simulation.rules.fan_out_adds_claimed)
        simulation.postgres.enqueue(transaction, Kind.DEPARTURE, [key for key in found if key not in waiting])
        if len(found) < space or not simulation.rules.fan_out_rows_kept_until_done:
            finished.append(row)
        else:
            transaction.outbox[row.id] = replace(row, cursor=found[-1])
        space -= len(found)
        yield
    return finished


def write(
    simulation: Simulation, name: str, targets: dict[str, State], keys: Sequence[int], started: int
) -> Generator[None, None, set[int]]:
    """Write departures to all targets, and return those that some index rejected."""
    if not keys:
        return set()
    version, changes, reader = yield from read(simulation, name, keys)
    yield
    if simulation.is_stalled(started) and simulation.rules.stale_reads_not_written:
        raise BatchStalled
    if not simulation.rules.write_follows_check:
        simulation.seen["about to write"] += 1
        yield
    requests = [simulation.send(index, version, changes) for index in targets]
    rejected: set[int] = set()
    for request in requests:
        rejected_keys = yield from simulation.response(request)
        # A missing index that is not live blocks nothing.
        if request.index in simulation.indices or targets[request.index] is State.LIVE:
            rejected.update(rejected_keys)
    simulation.postgres.end(reader)
    return rejected


def read(
    simulation: Simulation, name: str, keys: Sequence[int]
) -> Generator[None, None, tuple[int, Changes, Transaction]]:
    """Return a version, documents of one snapshot, and the transaction that locks the table against TRUNCATE."""
    postgres = simulation.postgres
    version = postgres.next_version()
    yield
    reader = postgres.begin(name)
    while not postgres.lock(reader, TABLE, shared=True):
        yield
    changes = {key: postgres.document(key) for key in keys}
    for _ in range(STATEMENTS_PER_READ):
        yield
    if not simulation.rules.version_before_read:
        version = postgres.next_version()
    if not simulation.rules.table_locked_until_written:
        postgres.end(reader)
        reader = postgres.begin(name)
    return version, changes, reader
