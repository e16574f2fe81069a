"""Load shedding at ten times the load that a process can serve."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import uvloop

from core.configuration.settings import Settings
from scripts.drill.load_generator import Outcome, percentile
from tests.fault_injection.api.conftest import SearchBodies
from tests.fault_injection.api.overload_client import OverloadClient, overload_client
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import responds

log = logging.getLogger(__name__)

CLIENTS = 8
OVERLOAD_FACTOR = 10
MAX_P95_SECONDS = 0.2
"""Bound of p95 of admitted requests; on a machine so busy that a few clients alone wait long, BUSY_FACTOR applies."""
BUSY_FACTOR = 16
"""Multiple of p95 without overload: three times as many requests are admitted, and rejecting the rest takes time."""
RECOVERY_SECONDS = 5.0
PROBES = ("/livez", "/readyz", "/api/health")
MAX_PROBE_SECONDS = 2.0
"""The shortest probe timeout of orchestrators."""


@dataclass(frozen=True)
class Measurements:
    closed_loops: Sequence[Sequence[Outcome]]
    """A few clients in a closed loop, before the overload and after it, because other work of the machine varies."""
    before: Sequence[Outcome]
    overload: Sequence[Outcome]
    after: Sequence[Outcome]


async def measure(url: str, bodies: SearchBodies, seconds: float) -> Measurements:
    async with overload_client(url, bodies) as client:
        await client.closed_loop(clients=CLIENTS, seconds=1)
        closed_loop = await client.closed_loop(clients=CLIENTS, seconds=2)
        capacity = len(closed_loop) / 2
        normal = capacity / 3
        before = await client.open_loop(normal, seconds=1)
        overload = await client.open_loop(OVERLOAD_FACTOR * capacity, seconds=seconds)
        await wait_for_recovery(client, normal, percentile(before, 0.95))
        after = await client.open_loop(normal, seconds=1)
        closed_loop_after = await client.closed_loop(clients=CLIENTS, seconds=2)
    offered, admitted = OVERLOAD_FACTOR * capacity, len(succeeded(overload)) / seconds
    log.info("capacity %.0f/s, offered %.0f/s, admitted %.0f/s", capacity, offered, admitted)
    return Measurements((closed_loop, closed_loop_after), before, overload, after)


async def wait_for_recovery(client: OverloadClient, rate: float, usual_p95: float) -> None:
    began = time.monotonic()
    while True:
        outcomes = await client.open_loop(rate, seconds=0.2)
        if len(succeeded(outcomes)) == len(outcomes) and percentile(outcomes, 0.95) < 3 * usual_p95 + 0.02:
            log.info("recovered after %.1f s", time.monotonic() - began)
            return
        assert time.monotonic() - began < RECOVERY_SECONDS


def succeeded(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    return [outcome for outcome in outcomes if outcome.status == 200]


async def probe_latencies(url: str, measuring: "asyncio.Future[Measurements]") -> list[float]:
    """Probe the process while it is measured, and return the seconds that each probe took."""
    seconds: list[float] = []
    async with http_client(url, timeout=10) as client:
        while not measuring.done():
            for probe in PROBES:
                began = time.monotonic()
                assert (await client.get(probe)).status_code == 200
                seconds.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
    return seconds


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2, 20])
async def test_overload_is_shed_before_requests_queue(
    settings: Settings, search_bodies: SearchBodies, seconds: float
) -> None:
    async with serve_process(settings, ANSWER_CACHE_SECONDS="0", WORKERS="1", LOG_LEVEL="warning") as serving:
        await eventually(lambda: responds(f"{serving.url}/readyz"), within=20)
        # The client runs in a thread on a loop of its own, so that this loop does not add to its latencies.
        measuring = asyncio.ensure_future(asyncio.to_thread(uvloop.run, measure(serving.url, search_bodies, seconds)))
        probes = await probe_latencies(serving.url, measuring)
        measured = await measuring
    assert len(succeeded(measured.before)) == len(measured.before)
    assert [outcome for outcome in measured.overload if not (outcome.status == 200 or outcome.rejected)] == []
    admitted, shed = succeeded(measured.overload), [outcome for outcome in measured.overload if outcome.rejected]
    log.info("admitted: p95 %.3f s; shed: p95 %.3f s", percentile(admitted, 0.95), percentile(shed, 0.95))
    assert shed
    assert len(admitted) > len(measured.overload) / OVERLOAD_FACTOR / 5
    usual = max(percentile(outcomes, 0.95) for outcomes in measured.closed_loops)
    assert percentile(admitted, 0.95) < max(MAX_P95_SECONDS, BUSY_FACTOR * usual)
    assert len(succeeded(measured.after)) == len(measured.after)
    assert max(probes) < MAX_PROBE_SECONDS
