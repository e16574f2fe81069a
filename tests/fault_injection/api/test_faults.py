"""The running service while the way to one of its dependencies is broken, and after."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest

from core.settings import Settings
from core.timeouts import DEFAULTS
from tests.fault_injection.api.constant_rate_client import Call, Outcome, Visitors, calls, percentile, visitors
from tests.fault_injection.api.serving_process import CONNECTIONS, DEPENDENCIES, System, system
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode

log = logging.getLogger(__name__)

KINDS = {"search", "resource", "event", "session"}

GOES_ON: Mapping[str, set[str]] = {
    # Searches from Postgres, as many as it can bear.
    "elasticsearch": {"resource", "event", "session"},
    "redis": KINDS,
    "postgres": {"search", "event"},
}
"""What is answered while a dependency is down; the rest may be refused."""

HURRY = {"REQUEST_SECONDS": "3", "POSTGRES_STATEMENT_SECONDS": "1", "POSTGRES_POOL_SECONDS": "0.5"}

SLACK_SECONDS = 4.0
"""For a machine that has other things to do."""

RECOVERY_SECONDS = 10.0
RESTART_SECONDS = 2.0
RESTART_FELT_SECONDS = 6.0
"""After it: an answer of the database is kept for five."""
FAULTS = (Mode.CUT, Mode.STALL, Mode.SLOW, Mode.RESET)


@pytest.fixture(scope="module")
async def hurried(settings: Settings, wishes: Sequence[dict[str, Any]]) -> AsyncIterator[System]:
    async with system(settings, **HURRY) as running:
        yield running


@pytest.fixture(scope="module")
async def usual(settings: Settings, wishes: Sequence[dict[str, Any]]) -> AsyncIterator[System]:
    async with system(settings) as running:
        yield running


@pytest.fixture(scope="module")
def visits(wishes: Sequence[dict[str, Any]]) -> Iterator[Call]:
    return calls(wishes)


async def all_is_well(crowd: Visitors, visits: Iterator[Call]) -> bool:
    """Every kind of request is answered as if nothing had been, and no dependency is spared any more."""
    outcomes = [await crowd.ask(next(visits)) for _ in range(6)]
    health = await crowd.ask(Call("health", "GET", "/api/health"))
    return (
        all(outcome.answered and "Warning" not in outcome.headers for outcome in outcomes)
        and health.body["status"] == "healthy"
        and set(health.body["breakers"].values()) == {"closed"}
    )


def of_kinds(outcomes: Sequence[Outcome], kinds: set[str]) -> Sequence[Outcome]:
    return [outcome for outcome in outcomes if outcome.kind in kinds]


async def suffer(
    running: System, visits: Iterator[Call], dependency: str, mode: Mode, *, rate: float, seconds: float
) -> Sequence[Outcome]:
    """What visitors see while the way is broken. Asserts what holds for every fault."""
    async with visitors(running.url) as crowd:
        await eventually(lambda: all_is_well(crowd, visits), within=RECOVERY_SECONDS)
        threads = running.process.num_threads()
        async with running.broken(dependency, mode):
            outcomes = await crowd.come(visits, rate=rate, seconds=seconds)
        await eventually(lambda: all_is_well(crowd, visits), within=RECOVERY_SECONDS)
    wrong = [outcome for outcome in outcomes if not (outcome.answered or outcome.refused)]
    assert not wrong
    assert all(running.connections()[name] <= most for name, most in CONNECTIONS.items())
    assert running.process.num_threads() <= threads + 1
    return outcomes


@pytest.mark.parametrize("mode", FAULTS)
@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_a_broken_way_is_felt_no_further_than_it_must(
    hurried: System, visits: Iterator[Call], dependency: str, mode: Mode
) -> None:
    outcomes = await suffer(hurried, visits, dependency, mode, rate=20, seconds=1.5)
    assert max(outcome.seconds for outcome in outcomes) < float(HURRY["REQUEST_SECONDS"]) + SLACK_SECONDS
    going_on = of_kinds(outcomes, GOES_ON[dependency])
    assert sum(outcome.answered for outcome in going_on) >= 0.9 * len(going_on)


@pytest.mark.slow
@pytest.mark.parametrize("mode", FAULTS)
@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_at_50_requests_a_second_what_goes_on_stays_quick(
    usual: System, visits: Iterator[Call], dependency: str, mode: Mode
) -> None:
    async with visitors(usual.url) as crowd:
        before = await crowd.come(visits, rate=50, seconds=4)
    outcomes = await suffer(usual, visits, dependency, mode, rate=50, seconds=10)
    assert max(outcome.seconds for outcome in outcomes) < DEFAULTS.request_seconds + SLACK_SECONDS
    going_on = of_kinds(outcomes, GOES_ON[dependency])
    assert sum(outcome.answered for outcome in going_on) >= 0.98 * len(going_on)
    # By then every breaker has seen enough.
    later = [outcome for outcome in going_on if outcome.due > outcomes[0].due + 4]
    p95, usual_p95 = percentile(later, 0.95), percentile(before, 0.95)
    log.info("%s %s: p95 %.3f s, before %.3f s", dependency, mode, p95, usual_p95)
    assert p95 < 3 * usual_p95 + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_a_restart_at_50_requests_a_second_is_felt_for_its_seconds(
    usual: System, visits: Iterator[Call], dependency: str
) -> None:
    async with visitors(usual.url) as crowd:
        await eventually(lambda: all_is_well(crowd, visits), within=RECOVERY_SECONDS)
        async with asyncio.TaskGroup() as tasks:
            coming = tasks.create_task(crowd.come(visits, rate=50, seconds=RESTART_SECONDS + 8))
            async with usual.broken(dependency, Mode.CUT):
                await asyncio.sleep(RESTART_SECONDS)
            back = time.monotonic()
    outcomes = coming.result()
    assert [outcome for outcome in outcomes if not (outcome.answered or outcome.refused)] == []
    later = [outcome for outcome in outcomes if outcome.due > back + RESTART_FELT_SECONDS]
    whole = [outcome for outcome in later if outcome.answered and "Warning" not in outcome.headers]
    assert len(whole) >= 0.98 * len(later)


async def test_an_outage_is_over_seconds_after_it_ends(hurried: System, visits: Iterator[Call]) -> None:
    async with visitors(hurried.url) as crowd:
        for dependency in DEPENDENCIES:
            await hurried.ways[dependency].switch(Mode.CUT)
        outcomes = await crowd.come(visits, rate=20, seconds=1)
        assert any(outcome.refused for outcome in outcomes)
        for dependency in DEPENDENCIES:
            await hurried.ways[dependency].switch(Mode.PASS)
        began = time.monotonic()
        await eventually(lambda: all_is_well(crowd, visits), within=RECOVERY_SECONDS)
        log.info("all was well after %.1f s", time.monotonic() - began)
