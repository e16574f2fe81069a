"""Writers: transactions that change departures and companies, and commit late or not at all."""

from tests.protocol_model.postgres import TABLE, Kind, Transaction
from tests.protocol_model.simulation import COMPANIES, DEPARTURES, Simulation, Steps
from tests.protocol_model.workers import write

TRANSACTIONS = 5


def writer(simulation: Simulation, name: str) -> Steps:
    for _ in range(TRANSACTIONS):
        yield
        transaction = simulation.postgres.begin(name)
        if simulation.random.random() < simulation.profile.truncate_share:
            yield from _truncate(simulation, transaction)
        else:
            yield from _change_some(simulation, transaction)
        for _ in range(simulation.random.choice((0, 0, 1, 10))):
            yield
        if simulation.random.random() < 0.1:
            simulation.postgres.end(transaction)
            continue
        simulation.postgres.commit(transaction)
        if not simulation.rules.outbox:
            yield
            targets = dict(simulation.postgres.targets)
            yield from write(simulation, name, targets, sorted(transaction.departures), simulation.now)


def _truncate(simulation: Simulation, transaction: Transaction) -> Steps:
    while not simulation.postgres.lock(transaction, TABLE):
        yield
    transaction.departures.update(dict.fromkeys(simulation.postgres.departures))
    _enqueue(simulation, transaction, Kind.ALL, 0)


def _change_some(simulation: Simulation, transaction: Transaction) -> Steps:
    departures = simulation.random.sample(DEPARTURES, simulation.random.randint(1, 2))
    companies = simulation.random.sample(COMPANIES, simulation.random.choice((0, 0, 1)))
    rows = [*((Kind.DEPARTURE, key) for key in departures), *((Kind.COMPANY, key) for key in companies)]
    while not (
        simulation.postgres.lock(transaction, TABLE, shared=True) and simulation.postgres.lock(transaction, *rows)
    ):
        yield
    for key in departures:
        _change(simulation, transaction, key)
        yield
    for key in companies:
        transaction.companies[key] = next(simulation.values)
        _enqueue(simulation, transaction, Kind.COMPANY, key)
        yield


def _change(simulation: Simulation, transaction: Transaction, key: int) -> None:
    """Insert, change or delete a departure, move it to another company, or delete and insert it again."""
    company, value = simulation.postgres.departures.get(key, (0, 0))
    chance = simulation.random.random()
    if company and chance < 0.3:
        transaction.departures[key] = None
    elif company and chance < 0.5:
        transaction.departures[key] = (simulation.random.choice(COMPANIES), value)
    elif company and chance < 0.9:
        transaction.departures[key] = (company, next(simulation.values))
    else:
        transaction.departures[key] = (simulation.random.choice(COMPANIES), next(simulation.values))
        if company:
            _enqueue(simulation, transaction, Kind.DEPARTURE, key)
    _enqueue(simulation, transaction, Kind.DEPARTURE, key)


def _enqueue(simulation: Simulation, transaction: Transaction, kind: Kind, key: int) -> None:
    if simulation.rules.outbox:
        simulation.postgres.enqueue(transaction, kind, [key])
