"""The one history that random ones hardly find: a worker stands still for hours in the moment before its write."""

from dataclasses import replace
from random import Random

import pytest

from tests.protocol_model.elasticsearch import DELETIONS_REMEMBERED, Violation
from tests.protocol_model.fault_profile import CALM
from tests.protocol_model.postgres import Departure, Kind
from tests.protocol_model.protocol import PROTOCOL, Rules
from tests.protocol_model.simulation import FIRST_INDEX, STALLED_AFTER, Steps, World
from tests.protocol_model.workers import batch

FALLIBLE = replace(PROTOCOL, writes_follow_their_check=False)


def stand_still(rules: Rules) -> World:
    """Its departure is deleted and the deletion forgotten before its write arrives, so that it comes back."""
    world = World(Random(0), rules, CALM, watched=False)
    change(world, 1, (1, 1))
    stopped = batch(world, "worker 0")
    while not world.seen["about to write"]:
        next(stopped)
    world.let_time_pass(STALLED_AFTER + 1)
    change(world, 1, None)
    finish(world, batch(world, "worker 1"))
    assert not world.indices[FIRST_INDEX].documents
    world.let_time_pass(DELETIONS_REMEMBERED + 1)
    finish(world, stopped)
    assert world.indices[FIRST_INDEX].documents
    return world


def change(world: World, key: int, departure: Departure | None) -> None:
    transaction = world.postgres.begin("writer")
    transaction.departures[key] = departure
    world.postgres.note(transaction, Kind.DEPARTURE, [key])
    world.postgres.commit(transaction)


def finish(world: World, process: Steps) -> None:
    for _ in process:
        for request in list(world.under_way):
            world.deliver(request, faults=False)


def test_it_reads_its_departures_again() -> None:
    world = stand_still(FALLIBLE)
    finish(world, batch(world, "worker 1"))
    world.check()
    assert not world.postgres.outbox


def test_if_it_did_not_the_departure_would_stay() -> None:
    world = stand_still(replace(FALLIBLE, stalled_batches_read_again=False))
    assert not world.postgres.outbox
    with pytest.raises(Violation):
        world.check()
