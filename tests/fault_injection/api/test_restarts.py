"""Processes come and go, and nobody notices."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from signal import SIGTERM
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.settings import Settings
from schemas.tables import Event, RecommendationRequest
from scripts.dev_stack.ports import free_port
from tests.fault_injection.api.constant_rate_client import Call, Outcome, Visitors, calls, come, visitors
from tests.support.api.serve_process import Serving, answers, serve_process
from tests.support.eventually import eventually
from tests.support.rows import rows
from tests.support.tracking.visits import drain

PROBE_SECONDS = 0.1
RATE = 30


class Balancer:
    """Sends each request to the next instance that was ready when last asked, and tries none again."""

    def __init__(self, urls: Sequence[str], ways: Sequence[Visitors]) -> None:
        self._urls = urls
        self._ways = ways
        self._turns = itertools.count()
        self.ready = [True for _ in urls]

    async def probe(self) -> None:
        """Until it is cancelled."""
        while True:
            self.ready = await asyncio.gather(*(answers(f"{url}/readyz") for url in self._urls))
            await asyncio.sleep(PROBE_SECONDS)

    async def ask(self, call: Call, due: float) -> Outcome:
        ready = [way for way, is_ready in zip(self._ways, self.ready, strict=True) if is_ready]
        return await ready[next(self._turns) % len(ready)].ask(call, due)


@asynccontextmanager
async def balancing(urls: Sequence[str]) -> AsyncIterator[Balancer]:
    async with AsyncExitStack() as stack:
        balancer = Balancer(urls, [await stack.enter_async_context(visitors(url)) for url in urls])
        probing = asyncio.create_task(balancer.probe())
        yield balancer
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


@asynccontextmanager
async def instances(settings: Settings, ports: Sequence[int]) -> AsyncIterator[list[Serving]]:
    """Ready; their places in the list may be taken by others."""
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(serve_process(settings, port=port)) for port in ports]
        for serving in running:
            await eventually(lambda url=serving.url: answers(f"{url}/readyz"), within=20)  # type: ignore[misc]
        yield running


@pytest.mark.slow
async def test_three_restarts_at_constant_load_lose_no_request_and_nothing_to_be_stored(
    settings: Settings, wishes: Sequence[dict[str, Any]], redis: Redis, filled: AsyncEngine
) -> None:
    ports = [free_port(), free_port()]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(instances(settings, ports))
        balancer = await stack.enter_async_context(balancing([serving.url for serving in running]))
        restarting = True
        visits = itertools.takewhile(lambda _: restarting, calls(wishes))
        load = asyncio.create_task(come(balancer.ask, visits, rate=RATE))
        for number in (0, 1, 0):
            process = running[number].process
            process.send_signal(SIGTERM)
            assert await process.wait() in (0, -SIGTERM)
            running[number] = await stack.enter_async_context(serve_process(settings, port=ports[number]))
            await eventually(lambda: all(balancer.ready), within=20)
        restarting = False
        outcomes = await load
        for serving in running:
            serving.process.send_signal(SIGTERM)
            await serving.process.wait()
    assert len(outcomes) > 3 * RATE
    assert [outcome for outcome in outcomes if not outcome.answered] == []
    await drain(redis, filled)
    stored = {"event": len(await rows(filled, Event)), "search": len(await rows(filled, RecommendationRequest))}
    assert stored == {kind: sum(outcome.kind == kind for outcome in outcomes) for kind in stored}
