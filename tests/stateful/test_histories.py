"""Whatever the platform and the workers do, in any order, all of it ends with an index that is as Postgres is."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as bounds
from hypothesis.stateful import run_state_machine_as_test

from core.settings import Settings
from indexer.backends import open_backends
from tests.stateful.breakpoints import put_points
from tests.stateful.state_machine import Ground, History

QUICK = bounds(max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
LONG = bounds(QUICK, max_examples=100, stateful_step_count=40)


@pytest.fixture
def ground(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """With a loop of its own: hypothesis calls its rules from outside any."""
    put_points(monkeypatch)
    loop = asyncio.new_event_loop()
    opened = open_backends(settings)
    yield Ground(loop, settings, loop.run_until_complete(opened.__aenter__()))
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.close()


@pytest.mark.parametrize("bounds", [QUICK, pytest.param(LONG, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_every_schedule_ends_in_sync(ground: Ground, bounds: bounds) -> None:
    class Here(History):
        def __init__(self) -> None:
            super().__init__(ground)

    run_state_machine_as_test(Here, settings=bounds)
