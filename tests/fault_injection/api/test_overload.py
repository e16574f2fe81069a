"""Ten times as many requests as a process can answer."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvloop

from core.settings import Settings
from tests.fault_injection.api.overload_client import Gateway, Met, gateway
from tests.support.api.serve_process import answers, serve_process
from tests.support.eventually import eventually

log = logging.getLogger(__name__)

VISITORS = 8
TIMES = 10
MOST_SECONDS = 0.2
"""For 95 % of what is answered at all; more on a machine so busy that a few visitors alone wait long."""
BUSY_TIMES = 16
"""Three times as many are let in, and refusing the rest takes time too."""
RECOVERY_SECONDS = 5.0
PROBES = ("/livez", "/readyz", "/api/health")
PROBE_SECONDS = 2.0
"""What orchestrators wait for a probe, at least."""


@dataclass(frozen=True)
class Seen:
    measured: Sequence[Sequence[Met]]
    """While a few visitors ask one after the other, before the flood and after it: what else a machine does changes."""
    before: Sequence[Met]
    flood: Sequence[Met]
    after: Sequence[Met]


async def flooded(url: str, wishes: Sequence[Mapping[str, Any]], seconds: float) -> Seen:
    async with gateway(url, wishes) as gate:
        await gate.one_after_the_other(at_once=VISITORS, seconds=1)
        measured = await gate.one_after_the_other(at_once=VISITORS, seconds=2)
        rate = len(measured) / 2
        normal = rate / 3
        before = await gate.at_rate(normal, seconds=1)
        flood = await gate.at_rate(TIMES * rate, seconds=seconds)
        await _calm(gate, normal, p95(before))
        after = await gate.at_rate(normal, seconds=1)
        measured_after = await gate.one_after_the_other(at_once=VISITORS, seconds=2)
    log.info("sustained %.0f/s, offered %.0f/s, answered %.0f/s", rate, TIMES * rate, len(answered(flood)) / seconds)
    return Seen((measured, measured_after), before, flood, after)


async def _calm(gate: Gateway, rate: float, usual: float) -> None:
    """Raises AssertionError if it takes longer than it may."""
    began = time.monotonic()
    while True:
        met = await gate.at_rate(rate, seconds=0.2)
        if len(answered(met)) == len(met) and p95(met) < 3 * usual + 0.02:
            log.info("calm %.1f s after", time.monotonic() - began)
            return
        assert time.monotonic() - began < RECOVERY_SECONDS


def answered(met: Sequence[Met]) -> Sequence[Met]:
    return [one for one in met if one.status == 200]


def p95(met: Sequence[Met]) -> float:
    ordered = sorted(one.seconds for one in met)
    return ordered[int(len(ordered) * 0.95)]


async def probed(url: str, flooding: "asyncio.Future[Seen]") -> list[float]:
    """The seconds of each probe while it lasts."""
    seconds: list[float] = []
    async with httpx2.AsyncClient(base_url=url, timeout=10) as client:
        while not flooding.done():
            for probe in PROBES:
                began = time.monotonic()
                assert (await client.get(probe)).status_code == 200
                seconds.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
    return seconds


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_flood_is_turned_away_before_those_who_are_let_in_have_to_wait(
    settings: Settings, wishes: Sequence[Mapping[str, Any]], seconds: float
) -> None:
    async with serve_process(settings, ANSWER_CACHE_SECONDS="0", WORKERS="1", LOG_LEVEL="warning") as serving:
        await eventually(lambda: answers(f"{serving.url}/readyz"), within=20)
        # In a thread and on a loop of its own: this one must not be what it waits for.
        flooding = asyncio.ensure_future(asyncio.to_thread(uvloop.run, flooded(serving.url, wishes, seconds)))
        probes = await probed(serving.url, flooding)
        seen = await flooding
    assert len(answered(seen.before)) == len(seen.before)
    assert [met for met in seen.flood if not (met.status == 200 or met.refused)] == []
    let_in, turned_away = answered(seen.flood), [met for met in seen.flood if met.refused]
    log.info("let in: p95 %.3f s; turned away: p95 %.3f s", p95(let_in), p95(turned_away))
    assert turned_away
    assert len(let_in) > len(seen.flood) / TIMES / 5
    assert p95(let_in) < max(MOST_SECONDS, BUSY_TIMES * max(map(p95, seen.measured)))
    assert len(answered(seen.after)) == len(seen.after)
    assert max(probes) < PROBE_SECONDS
