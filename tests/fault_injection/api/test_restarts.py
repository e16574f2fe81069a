"""Rolling restarts of API processes under load."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from signal import SIGTERM

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import Event, RecommendationRequest
from scripts.dev_stack.ports import free_port
from scripts.drill.load_generator import (
    LoadClient,
    Outcome,
    Request,
    load_client,
    mixed_requests,
    send_at_rate,
)
from tests.fault_injection.api.conftest import SearchBodies
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.processes import RunningProcess, responds
from tests.support.rows import rows
from tests.support.tracking.visits import drain

PROBE_SECONDS = 0.1
RATE = 30


class LoadBalancer:
    """Sends each request once, to the next instance that was ready at the latest probe."""

    def __init__(self, urls: Sequence[str], clients: Sequence[LoadClient]) -> None:
        self._urls = urls
        self._clients = clients
        self._turns = itertools.count()
        self.ready = [True for _ in urls]

    async def probe(self) -> None:
        """Probe the instances until cancelled."""
        while True:
            self.ready = await asyncio.gather(*(responds(f"{url}/readyz") for url in self._urls))
            await asyncio.sleep(PROBE_SECONDS)

    async def send(self, request: Request, due: float) -> Outcome:
        ready = [client for client, is_ready in zip(self._clients, self.ready, strict=True) if is_ready]
        return await ready[next(self._turns) % len(ready)].send(request, due)


@asynccontextmanager
async def load_balancer(urls: Sequence[str]) -> AsyncIterator[LoadBalancer]:
    async with AsyncExitStack() as stack:
        balancer = LoadBalancer(urls, [await stack.enter_async_context(load_client(url)) for url in urls])
        probing = asyncio.create_task(balancer.probe())
        yield balancer
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


@asynccontextmanager
async def instances(settings: Settings, ports: Sequence[int]) -> AsyncIterator[list[RunningProcess]]:
    """Run an instance on each port once all are ready; a test may replace the list's items."""
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(serve_process(settings, port=port)) for port in ports]
        for serving in running:
            await eventually(lambda url=serving.url: responds(f"{url}/readyz"), within=20)  # type: ignore[misc]
        yield running


@pytest.mark.slow
async def test_rolling_restarts_lose_no_request(
    settings: Settings, search_bodies: SearchBodies, redis: Redis, sample_catalogue: AsyncEngine
) -> None:
    ports = [free_port(), free_port()]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(instances(settings, ports))
        balancer = await stack.enter_async_context(load_balancer([serving.url for serving in running]))
        restarting = True
        requests = itertools.takewhile(lambda _: restarting, mixed_requests(search_bodies))
        load = asyncio.create_task(send_at_rate(balancer.send, requests, RATE))
        for number in (0, 1, 0):
            assert await terminate(running[number]) in (0, -SIGTERM)
            running[number] = await stack.enter_async_context(serve_process(settings, port=ports[number]))
            await eventually(lambda: all(balancer.ready), within=20)
        restarting = False
        outcomes = await load
        for serving in running:
            await terminate(serving)
    assert len(outcomes) > 3 * RATE
    assert [outcome for outcome in outcomes if not outcome.succeeded] == []
    await drain(redis, sample_catalogue)
    stored = {
        "event": len(await rows(sample_catalogue, Event)),
        "search": len(await rows(sample_catalogue, RecommendationRequest)),
    }
    assert stored == {kind: sum(outcome.kind == kind for outcome in outcomes) for kind in stored}


async def terminate(serving: RunningProcess) -> int:
    serving.process.send_signal(SIGTERM)
    return await serving.process.wait()
