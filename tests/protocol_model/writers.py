"""The platform: transactions that change departures and companies, commit late, or not at all."""

from tests.protocol_model.postgres import TABLE, Kind, Transaction
from tests.protocol_model.simulation import COMPANIES, DEPARTURES, Steps, World
from tests.protocol_model.workers import write

TRANSACTIONS = 5


def writer(world: World, name: str) -> Steps:
    for _ in range(TRANSACTIONS):
        yield
        transaction = world.postgres.begin(name)
        if world.random.random() < world.weather.truncating:
            yield from _truncate(world, transaction)
        else:
            yield from _change_some(world, transaction)
        for _ in range(world.random.choice((0, 0, 1, 10))):
            yield
        if world.random.random() < 0.1:
            world.postgres.end(transaction)
            continue
        world.postgres.commit(transaction)
        if not world.rules.outbox:
            yield
            targets = dict(world.postgres.targets)
            yield from write(world, name, targets, sorted(transaction.departures), world.now)


def _truncate(world: World, transaction: Transaction) -> Steps:
    while not world.postgres.lock(transaction, TABLE):
        yield
    transaction.departures.update(dict.fromkeys(world.postgres.departures))
    _note(world, transaction, Kind.ALL, 0)


def _change_some(world: World, transaction: Transaction) -> Steps:
    departures = world.random.sample(DEPARTURES, world.random.randint(1, 2))
    companies = world.random.sample(COMPANIES, world.random.choice((0, 0, 1)))
    rows = [*((Kind.DEPARTURE, key) for key in departures), *((Kind.COMPANY, key) for key in companies)]
    while not (world.postgres.lock(transaction, TABLE, shared=True) and world.postgres.lock(transaction, *rows)):
        yield
    for key in departures:
        _change(world, transaction, key)
        yield
    for key in companies:
        transaction.companies[key] = next(world.values)
        _note(world, transaction, Kind.COMPANY, key)
        yield


def _change(world: World, transaction: Transaction, key: int) -> None:
    """Inserted, changed, moved to another company, deleted, or deleted and inserted again."""
    company, value = world.postgres.departures.get(key, (0, 0))
    chance = world.random.random()
    if company and chance < 0.3:
        transaction.departures[key] = None
    elif company and chance < 0.5:
        transaction.departures[key] = (world.random.choice(COMPANIES), value)
    elif company and chance < 0.9:
        transaction.departures[key] = (company, next(world.values))
    else:
        transaction.departures[key] = (world.random.choice(COMPANIES), next(world.values))
        if company:
            _note(world, transaction, Kind.DEPARTURE, key)
    _note(world, transaction, Kind.DEPARTURE, key)


def _note(world: World, transaction: Transaction, kind: Kind, key: int) -> None:
    if world.rules.outbox:
        world.postgres.note(transaction, kind, [key])
