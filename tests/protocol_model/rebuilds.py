"""Reindex and rollback, as in indexer.rebuild.reindex, indexer.rebuild.loader and indexer.index.reconcile."""

from collections.abc import Generator

from tests.protocol_model.elasticsearch import Changes
from tests.protocol_model.postgres import BATCHES, REBUILDING, TABLE, State, Transaction
from tests.protocol_model.simulation import DEPARTURES, Simulation, Steps

REBUILDS = 3
CHUNK = 2
ATTEMPTS = 5


class Abandoned(Exception):  # noqa: N818
    """The new index is discarded."""


def rebuilder(simulation: Simulation, name: str) -> Steps:
    for _ in range(REBUILDS):
        for _ in range(simulation.random.randint(1, 20)):
            yield
        lock = simulation.postgres.begin(name)
        if simulation.postgres.lock(lock, REBUILDING):
            yield from simulation.random.choice((reindex, reindex, roll_back, drop_previous))(simulation, name)
        else:
            simulation.seen["rejected"] += 1
        simulation.postgres.end(lock)


def reindex(simulation: Simulation, name: str) -> Steps:
    yield from clean_up(simulation, name)
    index = simulation.new_index()
    yield
    try:
        yield from _register(simulation, name, index)
        yield from _load(simulation, name, index)
        yield from _compare(simulation, name, index)
        yield from _activate(simulation, name, index)
    except Abandoned:
        simulation.seen["abandoned"] += 1
        yield from _discard(simulation, name, index)
        return
    simulation.seen["reindexed"] += 1
    yield from clean_up(simulation, name)


def _register(simulation: Simulation, name: str, index: str) -> Steps:
    transaction = simulation.postgres.begin(name)
    transaction.targets[index] = State.BUILDING
    yield
    simulation.postgres.commit(transaction)
    if simulation.rules.reindex_waits_for_batches:
        yield
        transaction = yield from _lock_out_batches(simulation, name)
        simulation.postgres.commit(transaction)


def _lock_out_batches(simulation: Simulation, name: str) -> Generator[None, None, Transaction]:
    transaction = simulation.postgres.begin(name)
    while not simulation.postgres.lock(transaction, BATCHES):
        yield
    return transaction


def _load(simulation: Simulation, name: str, index: str) -> Steps:
    """Load all departures with one version, and each company as first read: later changes have outbox rows."""
    postgres = simulation.postgres
    version = postgres.next_version()
    companies: dict[int, int] = {}
    after = 0
    yield
    while keys := sorted(key for key in postgres.departures if key > after)[:CHUNK]:
        after = keys[-1]
        yield
        read_at = simulation.now
        reader = postgres.begin(name)
        while not postgres.lock(reader, TABLE, shared=True):
            yield
        departures = {key: postgres.departures[key] for key in keys if key in postgres.departures}
        yield
        changes = {
            key: (company, value, companies.setdefault(company, postgres.companies[company]))
            for key, (company, value) in departures.items()
        }
        written = yield from _send(simulation, index, version, changes, read_at)
        postgres.end(reader)
        if not written:
            raise Abandoned


def _send(
    simulation: Simulation, index: str, version: int, changes: Changes, read_at: int
) -> Generator[None, None, bool]:
    for _ in range(ATTEMPTS):
        if simulation.is_stalled(read_at) and simulation.rules.stale_reads_not_written:
            return False
        rejected = yield from simulation.response(simulation.send(index, version, changes))
        if not rejected:
            return True
        changes = {key: changes[key] for key in rejected}
    return False


def _compare(simulation: Simulation, name: str, index: str) -> Steps:
    transaction = yield from _lock_out_batches(simulation, name)
    yield
    differs = _differs(simulation, index)
    simulation.postgres.end(transaction)
    if differs and simulation.rules.differences_forbid_swap:
        simulation.seen["different"] += 1
        raise Abandoned


def _activate(simulation: Simulation, name: str, index: str) -> Steps:
    transaction = simulation.postgres.begin(name)
    transaction.targets.update({simulation.alias: State.PREVIOUS, index: State.LIVE})
    yield
    simulation.alias = index
    simulation.check_continuously()
    yield
    simulation.postgres.commit(transaction)


def _differs(simulation: Simulation, index: str) -> bool:
    """Return whether the index differs from Postgres in departures that the outbox does not name."""
    pending = simulation.postgres.pending()
    if pending is None:
        return False
    documents = simulation.indices[index].documents
    return any(documents.get(key) != simulation.postgres.document(key) for key in DEPARTURES if key not in pending)


def _discard(simulation: Simulation, name: str, index: str) -> Steps:
    if simulation.alias != index:
        yield
        transaction = simulation.postgres.begin(name)
        transaction.targets[index] = None
        simulation.postgres.commit(transaction)
        yield
        simulation.indices.pop(index, None)


def roll_back(simulation: Simulation, name: str) -> Steps:
    yield from _reconcile_states(simulation, name)
    live = simulation.alias
    transaction = yield from _lock_out_batches(simulation, name)
    previous = _previous(simulation)
    if previous is not None:
        transaction.targets.update({live: State.PREVIOUS, previous: State.LIVE})
        yield
        simulation.alias = previous
        simulation.seen["rolled back"] += 1
        yield
    simulation.postgres.commit(transaction)
    simulation.check_continuously()


def _previous(simulation: Simulation) -> str | None:
    return next((name for name, state in simulation.postgres.targets.items() if state is State.PREVIOUS), None)


def drop_previous(simulation: Simulation, name: str) -> Steps:
    """Drop the previous index, as retention does."""
    yield from _reconcile_states(simulation, name)
    transaction = simulation.postgres.begin(name)
    names = [index for index, state in simulation.postgres.targets.items() if state is State.PREVIOUS]
    simulation.seen["dropped"] += len(names)
    transaction.targets.update(dict.fromkeys(names))
    yield
    simulation.postgres.commit(transaction)
    for index in names:
        yield
        simulation.indices.pop(index, None)
    simulation.check_continuously()


def _reconcile_states(simulation: Simulation, name: str) -> Steps:
    if simulation.rules.alias_is_authoritative:
        yield from clean_up(simulation, name)


def clean_up(simulation: Simulation, name: str) -> Steps:
    """Remove what killed rebuilds left: all but the index of the alias and the latest other complete one."""
    live, existing = simulation.alias, set(simulation.indices)
    yield
    transaction = simulation.postgres.begin(name)
    targets = simulation.postgres.targets
    others = [index for index, state in targets.items() if index != live and state is not State.BUILDING]
    previous = max((index for index in others if index in existing), default=None)
    keep = {live} if previous is None else {live, previous}
    for index in targets:
        known = State.LIVE if index == live else State.PREVIOUS
        transaction.targets[index] = known if index in keep else None
    yield
    simulation.postgres.commit(transaction)
    yield
    for index in existing - keep:
        simulation.indices.pop(index, None)
