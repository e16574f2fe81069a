"""Every endpoint that reads responds soon while Elasticsearch or Postgres stalls, from the first request on."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.app.conftest import ADMIN_KEY
from tests.fault_injection.api.conftest import SearchBodies
from tests.support.api.serving import serving
from tests.support.dependency_proxies import DependencyProxies, dependency_proxies
from tests.support.fault_proxy import Mode
from tests.support.loop_clock import LoopClock, loop_clock

log = logging.getLogger(__name__)

LIMITS = {"elasticsearch": 1.0, "postgres": 3.0}
"""Seconds within which a response is there while the dependency stalls."""
ATTEMPTS = 3
"""Of so many attempts one has to be within the limit: the machine may be busy for a moment."""
SEARCHES = 3
ROUNDS = 2

READING = [
    endpoint
    for endpoint in ENDPOINTS
    if not endpoint.admin and (endpoint.method == "GET" or endpoint.tag == "recommendations")
]

Sent = tuple[str, float, httpx2.Response]


def reads(search_bodies: SearchBodies, number: int) -> Iterator[tuple[Endpoint, Mapping[str, Any] | None]]:
    """Yield each endpoint that reads, with a body, and several searches, which differ from those of other numbers."""
    for endpoint in READING:
        if endpoint.body is None:
            yield endpoint, None
        else:
            for body in search_bodies[:SEARCHES]:
                yield endpoint, {**body, "budget": 5000 + number}


async def send(api: httpx2.AsyncClient, clock: LoopClock, endpoint: Endpoint, body: Mapping[str, Any] | None) -> Sent:
    began = clock.seconds
    response = await api.request(endpoint.method, endpoint.path.replace("{id:int}", "1"), json=body)
    return f"{endpoint.method} {endpoint.path}", clock.seconds - began, response


async def send_all(api: httpx2.AsyncClient, search_bodies: SearchBodies, number: int) -> list[Sent]:
    async with loop_clock() as clock:
        return await asyncio.gather(*(send(api, clock, *read) for read in reads(search_bodies, number)))


async def busy_seconds(settings: Settings, search_bodies: SearchBodies) -> float:
    """Return what the slowest of all reads takes while nothing stalls: what the machine adds."""
    async with serving(settings) as api:
        return max(seconds for _, seconds, _ in await send_all(api, search_bodies, ROUNDS))


async def responses_in_stall(
    dependencies: DependencyProxies, search_bodies: SearchBodies, dependency: str, *, warm: bool
) -> list[Sent]:
    """Start the application, and send all reads at once, several times, while the dependency stalls.

    With `warm` it stalls once there are connections, else from before the start.
    """
    settings = dependencies.settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})
    await dependencies[dependency].switch(Mode.PASS if warm else Mode.STALL)
    async with serving(settings) as api:
        if warm:
            await asyncio.gather(*(api.get("/api/evaluation/scenarios") for _ in range(settings.postgres_connections)))
            await asyncio.gather(*(api.post("/api/v2/recommendations", json=body) for body in search_bodies[-5:]))
            await dependencies[dependency].switch(Mode.STALL)
        return [sent for number in range(ROUNDS) for sent in await send_all(api, search_bodies, number)]


@pytest.mark.parametrize("dependency", LIMITS)
@pytest.mark.parametrize("warm", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["later", "from the start"])
async def test_responses_come_soon_while_a_dependency_stalls(
    settings: Settings, search_bodies: SearchBodies, redis: Redis, dependency: str, *, warm: bool
) -> None:
    for _ in range(ATTEMPTS):
        await redis.flushdb()
        busy = await busy_seconds(settings, search_bodies)
        await redis.flushdb()
        async with dependency_proxies(settings) as dependencies:
            sent = await responses_in_stall(dependencies, search_bodies, dependency, warm=warm)
        name, seconds, _ = max(sent, key=lambda one: one[1])
        log.info("%s: %d reads took up to %.2f s (%s), else %.2f s", dependency, len(sent), seconds, name, busy)
        assert {response.status_code for _, _, response in sent} <= {200, 404, 503}
        assert all(response.json() for _, _, response in sent if response.status_code == 503)
        if seconds < LIMITS[dependency] + busy:
            return
    pytest.fail(f"{name} took {seconds:.2f} s, else {busy:.2f} s")


@pytest.mark.slow
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("path", [endpoint.path for endpoint in ENDPOINTS if endpoint.bounds_itself])
async def test_endpoint_without_a_timeout_responds_while_all_dependencies_stall(settings: Settings, path: str) -> None:
    event = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4())}
    body = event if path == "/api/events" else {"events": [event]}
    async with dependency_proxies(settings) as dependencies, serving(dependencies.settings) as api:
        assert (await api.post(path, json=body)).status_code == 202
        await dependencies.switch_all(Mode.STALL)
        async with loop_clock() as clock:
            # At once, so that some wait for the round trips of others.
            responses = await asyncio.gather(*(api.post(path, json=body) for _ in range(20)))
    assert {response.status_code for response in responses} == {503}
    assert clock.seconds < settings.request_seconds
