"""Responses lack nothing that a worker has published, whatever others have written and not published."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as bounds
from hypothesis.stateful import run_state_machine_as_test

from app.cache import recent_departure_changes
from core.configuration.settings import Settings
from tests.stateful.breakpoints import install_breakpoints
from tests.stateful.cache_machine import CacheMachine, Environment, IndexHistory, open_environment, record_writes

QUICK = bounds(max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
LONG = bounds(QUICK, max_examples=100, stateful_step_count=30)


@pytest.fixture
def scene(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[asyncio.AbstractEventLoop, Environment]]:
    """An environment with an event loop of its own, because Hypothesis calls rules outside any loop."""
    history = IndexHistory()
    record_writes(monkeypatch, history)
    install_breakpoints(monkeypatch)
    # An entry that a change affects is outdated at once.
    monkeypatch.setattr(recent_departure_changes, "HOLD_SECONDS", 0.0)
    loop = asyncio.new_event_loop()
    opened = open_environment(settings, history)
    yield loop, loop.run_until_complete(opened.__aenter__())
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.close()


@pytest.mark.parametrize("bounds", [QUICK, pytest.param(LONG, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_no_response_lacks_what_a_worker_has_published(
    scene: tuple[asyncio.AbstractEventLoop, Environment], bounds: bounds
) -> None:
    class Machine(CacheMachine):
        def __init__(self) -> None:
            super().__init__(*scene)

    run_state_machine_as_test(Machine, settings=bounds)
