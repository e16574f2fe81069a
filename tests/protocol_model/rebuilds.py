"""A reindex and the way back, as in indexer.rebuild.reindex, indexer.rebuild.loader and indexer.index.reconcile."""

from collections.abc import Generator

from tests.protocol_model.elasticsearch import Changes
from tests.protocol_model.postgres import BATCHES, REBUILDING, TABLE, State, Transaction
from tests.protocol_model.simulation import DEPARTURES, Steps, World

ORDERS = 3
CHUNK = 2
ATTEMPTS = 5


class Abandoned(Exception):  # noqa: N818
    """The new index is not put in use."""


def rebuilder(world: World, name: str) -> Steps:
    for _ in range(ORDERS):
        for _ in range(world.random.randint(1, 20)):
            yield
        right = world.postgres.begin(name)
        if world.postgres.lock(right, REBUILDING):
            yield from world.random.choice((reindex, reindex, roll_back, drop_previous))(world, name)
        else:
            world.seen["turned away"] += 1
        world.postgres.end(right)


def reindex(world: World, name: str) -> Steps:
    yield from clean_up(world, name)
    index = world.new_index()
    yield
    try:
        yield from _register(world, name, index)
        yield from _load(world, name, index)
        yield from _compare(world, name, index)
        yield from _put_in_use(world, name, index)
    except Abandoned:
        world.seen["abandoned"] += 1
        yield from _abandon(world, name, index)
        return
    world.seen["reindexed"] += 1
    yield from clean_up(world, name)


def _register(world: World, name: str, index: str) -> Steps:
    transaction = world.postgres.begin(name)
    transaction.targets[index] = State.BUILDING
    yield
    world.postgres.commit(transaction)
    if world.rules.targets_are_announced:
        yield
        alone = yield from _keep_batches_out(world, name)
        world.postgres.commit(alone)


def _keep_batches_out(world: World, name: str) -> Generator[None, None, Transaction]:
    transaction = world.postgres.begin(name)
    while not world.postgres.lock(transaction, BATCHES):
        yield
    return transaction


def _load(world: World, name: str, index: str) -> Steps:
    """All under one version, and each company as it was when it was met first: later changes have outbox rows."""
    postgres = world.postgres
    version = postgres.next_version()
    companies: dict[int, int] = {}
    after = 0
    yield
    while keys := sorted(key for key in postgres.departures if key > after)[:CHUNK]:
        after = keys[-1]
        yield
        read_at = world.now
        reader = postgres.begin(name)
        while not postgres.lock(reader, TABLE, shared=True):
            yield
        departures = {key: postgres.departures[key] for key in keys if key in postgres.departures}
        yield
        changes = {
            key: (company, value, companies.setdefault(company, postgres.companies[company]))
            for key, (company, value) in departures.items()
        }
        taken = yield from _send(world, index, version, changes, read_at)
        postgres.end(reader)
        if not taken:
            raise Abandoned


def _send(world: World, index: str, version: int, changes: Changes, read_at: int) -> Generator[None, None, bool]:
    for _ in range(ATTEMPTS):
        if world.stood_still(read_at) and world.rules.old_readings_are_not_written:
            return False
        kept = yield from world.answer(world.send(index, version, changes))
        if not kept:
            return True
        changes = {key: changes[key] for key in kept}
    return False


def _compare(world: World, name: str, index: str) -> Steps:
    alone = yield from _keep_batches_out(world, name)
    yield
    differs = _differs(world, index)
    world.postgres.end(alone)
    if differs and world.rules.differences_forbid_the_swap:
        world.seen["different"] += 1
        raise Abandoned


def _put_in_use(world: World, name: str, index: str) -> Steps:
    transaction = world.postgres.begin(name)
    transaction.targets.update({world.alias: State.PREVIOUS, index: State.LIVE})
    yield
    world.alias = index
    world.check_meanwhile()
    yield
    world.postgres.commit(transaction)


def _differs(world: World, index: str) -> bool:
    """What the outbox names may be in the new index or not."""
    pending = world.postgres.pending()
    if pending is None:
        return False
    documents = world.indices[index].documents
    return any(documents.get(key) != world.postgres.document(key) for key in DEPARTURES if key not in pending)


def _abandon(world: World, name: str, index: str) -> Steps:
    if world.alias != index:
        yield
        transaction = world.postgres.begin(name)
        transaction.targets[index] = None
        world.postgres.commit(transaction)
        yield
        world.indices.pop(index, None)


def roll_back(world: World, name: str) -> Steps:
    yield from _settle_states(world, name)
    live = world.alias
    transaction = yield from _keep_batches_out(world, name)
    previous = _previous(world)
    if previous is not None:
        transaction.targets.update({live: State.PREVIOUS, previous: State.LIVE})
        yield
        world.alias = previous
        world.seen["rolled back"] += 1
        yield
    world.postgres.commit(transaction)
    world.check_meanwhile()


def _previous(world: World) -> str | None:
    return next((name for name, state in world.postgres.targets.items() if state is State.PREVIOUS), None)


def drop_previous(world: World, name: str) -> Steps:
    """Housekeeping, once nobody will want to go back any more."""
    yield from _settle_states(world, name)
    transaction = world.postgres.begin(name)
    names = [index for index, state in world.postgres.targets.items() if state is State.PREVIOUS]
    world.seen["dropped"] += len(names)
    transaction.targets.update(dict.fromkeys(names))
    yield
    world.postgres.commit(transaction)
    for index in names:
        yield
        world.indices.pop(index, None)
    world.check_meanwhile()


def _settle_states(world: World, name: str) -> Steps:
    if world.rules.alias_decides:
        yield from clean_up(world, name)


def clean_up(world: World, name: str) -> Steps:
    """Of what killed rebuilds left: the alias says which index is in use, and the latest other finished one is kept."""
    live, existing = world.alias, set(world.indices)
    yield
    transaction = world.postgres.begin(name)
    targets = world.postgres.targets
    others = [index for index, state in targets.items() if index != live and state is not State.BUILDING]
    previous = max((index for index in others if index in existing), default=None)
    keep = {live} if previous is None else {live, previous}
    for index in targets:
        known = State.LIVE if index == live else State.PREVIOUS
        transaction.targets[index] = known if index in keep else None
    yield
    world.postgres.commit(transaction)
    yield
    for index in existing - keep:
        world.indices.pop(index, None)
