"""The worker: batch after batch of claimed outbox rows, as in indexer.feed.batch and indexer.feed.fan_out."""

from collections.abc import Collection, Generator, Sequence
from dataclasses import replace

from tests.protocol_model.elasticsearch import Changes
from tests.protocol_model.postgres import BATCHES, TABLE, Kind, OutboxRow, State, Transaction, TransactionLost
from tests.protocol_model.simulation import STALLED_AFTER, Steps, World

CLAIMED = 3
FANNED = 2
"""Departures that a batch resolves fan-outs to, at most."""
FURTHER_STATEMENTS = 3
"""A reading takes several, all in the snapshot of the first."""


class Stalled(Exception):  # noqa: N818
    """The process stood still between reading and writing."""


def worker(world: World, name: str) -> Steps:
    while True:
        world.idle.add(name)
        yield
        world.idle.discard(name)
        yield from batch(world, name)


def batch(world: World, name: str) -> Steps:
    started = world.now
    rows: list[OutboxRow] = []
    try:
        yield from _process(world, name, rows, started)
    except (TransactionLost, Stalled):
        world.seen["stalled"] += 1
        world.postgres.hang_up(name)
    if world.stood_still(started) and world.rules.stalled_batches_read_again:
        yield
        again = world.postgres.begin(name)
        world.postgres.note(again, Kind.DEPARTURE, _keys(rows))
        world.postgres.commit(again)


def _process(world: World, name: str, rows: list[OutboxRow], started: int) -> Steps:
    postgres = world.postgres
    transaction = postgres.begin(name, idle_limit=STALLED_AFTER)
    while not postgres.lock(transaction, BATCHES, shared=True):
        yield
    yield
    targets = dict(postgres.targets)
    if not world.rules.batches_write_to_all:
        targets = {index: state for index, state in targets.items() if state is State.LIVE}
    yield
    rows += postgres.claim(transaction, CLAIMED)
    if not rows:
        postgres.end(transaction)
        return
    if not world.rules.rows_stay_until_written:
        transaction.outbox.update({row.id: None for row in rows})
        postgres.commit(transaction)
        transaction = postgres.begin(name)
    yield
    finished = yield from _expand(world, transaction, targets, rows)
    kept = yield from write(world, name, targets, _keys(rows), started)
    done = [row for row in rows if (row.key not in kept if row.kind is Kind.DEPARTURE else row in finished)]
    transaction.outbox.update({row.id: None for row in done})
    if not world.rules.rows_leave_by_id and not kept:
        postgres.passed = max([postgres.passed, *(row.id for row in done)])
    yield
    postgres.commit(transaction)
    world.seen["settled"] += len(done)
    world.check_meanwhile()


def _keys(rows: Sequence[OutboxRow]) -> list[int]:
    return sorted({row.key for row in rows if row.kind is Kind.DEPARTURE})


def _expand(
    world: World, transaction: Transaction, targets: Collection[str], rows: Sequence[OutboxRow]
) -> Generator[None, None, list[OutboxRow]]:
    """Answers the rows that have no more departures to add."""
    finished: list[OutboxRow] = []
    room = FANNED
    for row in rows:
        if row.kind is Kind.DEPARTURE or room == 0:
            continue
        found = world.postgres.dependents(None if row.kind is Kind.ALL else row.key, row.cursor, room)
        if row.kind is Kind.ALL:
            yield
            indexed = {key for name in targets if name in world.indices for key in world.indices[name].documents}
            found = sorted({*found, *(key for key in indexed if key > row.cursor)})[:room]
        world.postgres.note(transaction, Kind.DEPARTURE, found)
        if len(found) < room or not world.rules.fan_outs_keep_their_place:
            finished.append(row)
        else:
            transaction.outbox[row.id] = replace(row, cursor=found[-1])
        room -= len(found)
        yield
    return finished


def write(
    world: World, name: str, targets: dict[str, State], keys: Sequence[int], started: int
) -> Generator[None, None, set[int]]:
    """Answers the departures that some index didn't take."""
    if not keys:
        return set()
    version, changes, reader = yield from read(world, name, keys)
    yield
    if world.stood_still(started) and world.rules.old_readings_are_not_written:
        raise Stalled
    if not world.rules.writes_follow_their_check:
        world.seen["about to write"] += 1
        yield
    requests = [world.send(index, version, changes) for index in targets]
    kept: set[int] = set()
    for request in requests:
        refused = yield from world.answer(request)
        # An index that is gone, and not the one in use, holds nothing up.
        if request.index in world.indices or targets[request.index] is State.LIVE:
            kept.update(refused)
    world.postgres.end(reader)
    return kept


def read(world: World, name: str, keys: Sequence[int]) -> Generator[None, None, tuple[int, Changes, Transaction]]:
    """Departures in one snapshot, the version to write them under, and the transaction that keeps the table."""
    postgres = world.postgres
    version = postgres.next_version()
    yield
    reader = postgres.begin(name)
    while not postgres.lock(reader, TABLE, shared=True):
        yield
    changes = {key: postgres.document(key) for key in keys}
    for _ in range(FURTHER_STATEMENTS):
        yield
    if not world.rules.version_before_reading:
        version = postgres.next_version()
    if not world.rules.tables_stay_until_written:
        postgres.end(reader)
        reader = postgres.begin(name)
    return version, changes, reader
