"""A schedule that random ones hardly find: a worker stalls for hours in the moment before its write."""

from dataclasses import replace
from random import Random

import pytest

from tests.protocol_model.elasticsearch import GC_DELETES, Violation
from tests.protocol_model.fault_profile import BASELINE
from tests.protocol_model.postgres import Departure, Kind
from tests.protocol_model.protocol import PROTOCOL, Rules
from tests.protocol_model.simulation import FIRST_INDEX, STALLED_AFTER, Simulation, Steps
from tests.protocol_model.workers import batch

STALLING = replace(PROTOCOL, write_follows_check=False)


def run_stalled_worker(rules: Rules) -> Simulation:
    """Delete the departure, and let its tombstone expire, before the stalled write restores the document."""
    simulation = Simulation(Random(0), rules, BASELINE, continuous_checks=False)
    change(simulation, 1, (1, 1))
    stalled = batch(simulation, "worker 0")
    while not simulation.seen["about to write"]:
        next(stalled)
    simulation.advance_time(STALLED_AFTER + 1)
    change(simulation, 1, None)
    finish(simulation, batch(simulation, "worker 1"))
    assert not simulation.indices[FIRST_INDEX].documents
    simulation.advance_time(GC_DELETES + 1)
    finish(simulation, stalled)
    assert simulation.indices[FIRST_INDEX].documents
    return simulation


def change(simulation: Simulation, key: int, departure: Departure | None) -> None:
    transaction = simulation.postgres.begin("writer")
    transaction.departures[key] = departure
    simulation.postgres.enqueue(transaction, Kind.DEPARTURE, [key])
    simulation.postgres.commit(transaction)


def finish(simulation: Simulation, process: Steps) -> None:
    for _ in process:
        for request in list(simulation.in_flight):
            simulation.deliver(request, faults=False)


def test_stalled_batch_enqueues_its_departures() -> None:
    simulation = run_stalled_worker(STALLING)
    finish(simulation, batch(simulation, "worker 1"))
    simulation.check()
    assert not simulation.postgres.outbox


def test_deleted_departure_stays_without_that_rule() -> None:
    simulation = run_stalled_worker(replace(STALLING, stalled_batches_reenqueue=False))
    assert not simulation.postgres.outbox
    with pytest.raises(Violation):
        simulation.check()
