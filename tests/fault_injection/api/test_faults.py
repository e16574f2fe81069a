"""The running API while the network to one of its dependencies is broken, and afterwards."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import orjson
import pytest

from core.concurrency.resource_limits import DEFAULTS
from core.configuration.settings import Settings
from scripts.drill.load_generator import (
    LoadClient,
    Outcome,
    Request,
    failures,
    load_client,
    mixed_requests,
    percentile,
)
from tests.fault_injection.api.breakable_api import BreakableApi, breakable_api
from tests.fault_injection.api.conftest import SearchBodies
from tests.support.dependency_proxies import DEPENDENCIES
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode

log = logging.getLogger(__name__)

KINDS = {"search", "resource", "event", "session"}

UNAFFECTED: Mapping[str, set[str]] = {
    # Searches fall back to Postgres, as many as it can bear.
    "elasticsearch": {"resource", "event", "session"},
    "redis": KINDS,
    "postgres": {"search", "event"},
}
"""Kinds of requests that succeed while a dependency is down; others may be rejected."""

SHORT_TIMEOUTS = {"REQUEST_SECONDS": "3", "POSTGRES_STATEMENT_SECONDS": "1", "POSTGRES_POOL_SECONDS": "0.5"}

SLACK_SECONDS = 4.0
"""Allowance for a busy machine."""

RECOVERY_SECONDS = 10.0
RESTART_SECONDS = 2.0
RESTART_EFFECT_SECONDS = 6.0
"""How long a restart may still show after it: responses from the fallback are cached for five seconds."""
FAULTS = (Mode.CUT, Mode.STALL, Mode.SLOW, Mode.RESET)


@pytest.fixture(scope="module")
async def impatient_api(settings: Settings, search_bodies: SearchBodies) -> AsyncIterator[BreakableApi]:
    """An API with short timeouts."""
    async with breakable_api(settings, **SHORT_TIMEOUTS) as api:
        yield api


@pytest.fixture(scope="module")
async def default_api(settings: Settings, search_bodies: SearchBodies) -> AsyncIterator[BreakableApi]:
    async with breakable_api(settings) as api:
        yield api


@pytest.fixture(scope="module")
def requests(search_bodies: SearchBodies) -> Iterator[Request]:
    return mixed_requests(search_bodies)


async def is_healthy(client: LoadClient, requests: Iterator[Request]) -> bool:
    """Return whether requests of every kind succeed undegraded, and all circuit breakers are closed."""
    outcomes = [await client.send(next(requests)) for _ in range(6)]
    health = orjson.loads((await client.send(Request("health", "GET", "/api/health"))).body)
    return (
        all(outcome.succeeded and not outcome.degraded for outcome in outcomes)
        and health["status"] == "healthy"
        and set(health["breakers"].values()) == {"closed"}
    )


def of_kinds(outcomes: Sequence[Outcome], kinds: set[str]) -> Sequence[Outcome]:
    return [outcome for outcome in outcomes if outcome.kind in kinds]


def success_rate(outcomes: Sequence[Outcome]) -> float:
    return sum(outcome.succeeded for outcome in outcomes) / len(outcomes)


async def run_with_fault(
    api: BreakableApi, requests: Iterator[Request], dependency: str, mode: Mode, *, rate: float, seconds: float
) -> Sequence[Outcome]:
    """Return the outcomes of requests made during the fault, and assert what holds for every fault."""
    async with load_client(api.url) as client:
        await eventually(lambda: is_healthy(client, requests), within=RECOVERY_SECONDS)
        threads = api.process.num_threads()
        async with api.dependencies.broken(dependency, mode):
            outcomes = await client.run(requests, rate=rate, seconds=seconds)
        await eventually(lambda: is_healthy(client, requests), within=RECOVERY_SECONDS)
    assert failures(outcomes) == []
    api.assert_bounded(threads)
    return outcomes


@pytest.mark.parametrize(
    "mode", [Mode.CUT, Mode.STALL, *(pytest.param(mode, marks=pytest.mark.slow) for mode in (Mode.SLOW, Mode.RESET))]
)
@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_fault_affects_only_what_depends_on_it(
    impatient_api: BreakableApi, requests: Iterator[Request], dependency: str, mode: Mode
) -> None:
    outcomes = await run_with_fault(impatient_api, requests, dependency, mode, rate=20, seconds=1.5)
    assert max(outcome.seconds for outcome in outcomes) < float(SHORT_TIMEOUTS["REQUEST_SECONDS"]) + SLACK_SECONDS
    assert success_rate(of_kinds(outcomes, UNAFFECTED[dependency])) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("mode", FAULTS)
@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_fault_at_50_rps_leaves_the_rest_fast(
    default_api: BreakableApi, requests: Iterator[Request], dependency: str, mode: Mode
) -> None:
    async with load_client(default_api.url) as client:
        before = await client.run(requests, rate=50, seconds=4)
    outcomes = await run_with_fault(default_api, requests, dependency, mode, rate=50, seconds=10)
    assert max(outcome.seconds for outcome in outcomes) < DEFAULTS.request_seconds + SLACK_SECONDS
    unaffected = of_kinds(outcomes, UNAFFECTED[dependency])
    assert success_rate(unaffected) >= 0.98
    # By then every circuit breaker has seen enough failures to open.
    later = [outcome for outcome in unaffected if outcome.due > outcomes[0].due + 4]
    p95, p95_before = percentile(later, 0.95), percentile(before, 0.95)
    log.info("%s %s: p95 %.3f s, before %.3f s", dependency, mode, p95, p95_before)
    assert p95 < 3 * p95_before + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_dependency_restart_at_50_rps_has_brief_effect(
    default_api: BreakableApi, requests: Iterator[Request], dependency: str
) -> None:
    async with load_client(default_api.url) as client:
        await eventually(lambda: is_healthy(client, requests), within=RECOVERY_SECONDS)
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(client.run(requests, rate=50, seconds=RESTART_SECONDS + 8))
            async with default_api.dependencies.broken(dependency, Mode.CUT):
                await asyncio.sleep(RESTART_SECONDS)
            back = time.monotonic()
    outcomes = load.result()
    assert failures(outcomes) == []
    later = [outcome for outcome in outcomes if outcome.due > back + RESTART_EFFECT_SECONDS]
    undegraded = [outcome for outcome in later if outcome.succeeded and not outcome.degraded]
    assert len(undegraded) >= 0.98 * len(later)


async def test_total_outage_ends_within_seconds(impatient_api: BreakableApi, requests: Iterator[Request]) -> None:
    async with load_client(impatient_api.url) as client:
        await impatient_api.dependencies.switch_all(Mode.CUT)
        outcomes = await client.run(requests, rate=20, seconds=1)
        assert any(outcome.rejected for outcome in outcomes)
        await impatient_api.dependencies.switch_all(Mode.PASS)
        began = time.monotonic()
        await eventually(lambda: is_healthy(client, requests), within=RECOVERY_SECONDS)
        log.info("healthy after %.1f s", time.monotonic() - began)
