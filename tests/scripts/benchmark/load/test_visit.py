import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.api.tracking import EventBatch
from scripts.benchmark.load.visit import BATCH, REFERENCE_DATA, Kind, Step, visit

SEARCH = {"month": "all"}


def steps_of(seed: int, trips: Sequence[int]) -> list[Step]:
    """Return the steps of a visit whose searches find the trips."""
    made = visit(random.Random(seed), lambda: SEARCH)
    steps = [next(made)]
    while True:
        try:
            steps.append(made.send(trips if steps[-1].kind is Kind.SEARCH else []))
        except StopIteration:
            return steps


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), max_size=30, unique=True))
def test_visit_begins_as_the_web_client_does_and_opens_what_it_found(seed: int, trips: list[int]) -> None:
    steps = steps_of(seed, trips)
    assert tuple(step.path for step in steps[:3]) == REFERENCE_DATA
    assert [step.kind for step in steps].count(Kind.SESSION) == 1
    assert all(step.body == SEARCH for step in steps if step.kind is Kind.SEARCH)
    opened = [step.path for step in steps if step.kind is Kind.TRIP]
    assert set(opened) <= {f"/api/v2/occurrences/{trip}" for trip in trips}


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), max_size=30, unique=True))
def test_every_batch_of_events_is_one_that_the_service_takes(seed: int, trips: list[int]) -> None:
    batches = [step.body for step in steps_of(seed, trips) if step.kind is Kind.EVENTS]
    for body in batches:
        assert 0 < len(EventBatch.model_validate(body).events) <= BATCH


@pytest.mark.parametrize("seed", range(3))
def test_visit_is_reproducible(seed: int) -> None:
    assert steps_of(seed, [1, 2, 3]) == steps_of(seed, [1, 2, 3])
