"""Random schedules of writers, batches and rebuilds on real servers end with an index in sync."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as bounds
from hypothesis.stateful import run_state_machine_as_test

from core.configuration.settings import Settings
from indexer.backends import open_backends
from tests.stateful.breakpoints import install_breakpoints
from tests.stateful.state_machine import Environment, SyncMachine

QUICK = bounds(max_examples=6, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
LONG = bounds(QUICK, max_examples=100, stateful_step_count=40)


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """An environment with an event loop of its own, because Hypothesis calls rules outside any loop."""
    install_breakpoints(monkeypatch)
    loop = asyncio.new_event_loop()
    opened = open_backends(settings)
    yield Environment(loop, settings, loop.run_until_complete(opened.__aenter__()))
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.close()


@pytest.mark.parametrize("bounds", [QUICK, pytest.param(LONG, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_every_schedule_ends_in_sync(environment: Environment, bounds: bounds) -> None:
    class Machine(SyncMachine):
        def __init__(self) -> None:
            super().__init__(environment)

    run_state_machine_as_test(Machine, settings=bounds)
