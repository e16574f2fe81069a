"""Runbooks of processes, and of their connections to the servers, followed in the states that they are for."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import asyncpg
import pytest
from redis.asyncio import Redis

from core.configuration.settings import Settings
from indexer.backends import Backends
from schemas.redis_keys import TRACKING_STREAM
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.conftest import plain
from tests.scripts.observability.runbook_commands import needs_clients, run
from tests.support.api.serve_process import serve_process
from tests.support.dependency_proxies import DEPENDENCIES, DependencyProxies, dependency_proxies
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.http_client import http_client
from tests.support.locks import waits_for_a_lock
from tests.support.processes import RunningProcess, responds, worker_process
from tests.support.tls_proxy import tls_proxy
from tests.support.tracking.visits import event

pytestmark = [needs_clients, pytest.mark.slow]

REFUSED = 7
"""Exit code of curl where nothing listens."""
FAILED = (0, 1, 2, ExitCode.NOT_RUNNING, ExitCode.DIFFERS, REFUSED)
"""Exit codes of commands that find a server down."""
REFUSALS = {
    "elasticsearch": "Failed to connect",
    "redis": "Connection refused",
    "postgres": "Connection refused",
}
"""What the client of each server prints where nothing listens."""


EVENTS = 50
"""Events of a batch that a client sends while none can be stored."""


@dataclass(frozen=True)
class Breakable:
    proxies: DependencyProxies
    api: RunningProcess


@pytest.fixture
async def breakable(settings: Settings, backends: Backends) -> AsyncIterator[Breakable]:
    """An API behind proxies that may break its connections."""
    async with dependency_proxies(settings) as proxies, serve_process(proxies.settings) as api:
        await api.wait_until_responding("/readyz")
        yield Breakable(proxies, api)


async def test_process_that_is_gone_does_not_respond(settings: Settings) -> None:
    nothing = f"http://127.0.0.1:{free_port()}"
    for runbook in ("api-down", "no-worker"):
        shown = await run(runbook, "confirm", settings, api=nothing, worker=nothing, codes=(REFUSED,))
        assert "connect" in shown


async def test_process_that_waits_is_alive_and_not_ready(settings: Settings) -> None:
    async with dependency_proxies(settings) as proxies:
        await proxies.switch_all(Mode.CUT)
        async with serve_process(proxies.settings) as api:
            shown = await run("api-down", "confirm", settings, api=api.url)
    assert statuses(shown) == ["200", "503"]


async def test_worker_that_does_not_progress_is_stuck(settings: Settings) -> None:
    async with dependency_proxies(settings) as proxies:
        await proxies.switch_all(Mode.CUT)
        async with worker_process(proxies.settings) as worker:
            await worker.wait_until_responding()

            async def is_not_ready() -> bool:
                return not await responds(f"{worker.url}/readyz")

            await eventually(is_not_ready, within=90)
            shown = await run("no-worker", "confirm", settings, worker=worker.url)
    assert statuses(shown) == ["503"]
    assert '"status": "stuck"' in shown


def statuses(shown: str) -> list[str]:
    return re.findall(r"^HTTP/1.1 (\d+)", shown, re.MULTILINE)


@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_dependency_that_is_down_is_shown(dependency: str, breakable: Breakable) -> None:
    settings, api = breakable.proxies.settings, breakable.api.url
    budgets = count(1000)
    async with http_client(api) as client:

        async def breaker_is(state: str) -> bool:
            # No cache answers a search for another budget.
            await client.post("/api/v2/recommendations", json={"budget": next(budgets)})
            await client.get("/api/v2/schema-info")
            health = (await client.get("/api/health")).json()
            return bool(health["breakers"][dependency] == state)

        async with breakable.proxies.broken(dependency, Mode.CUT):
            await eventually(lambda: breaker_is("open"))
            assert f'"{dependency}":"down"' in await run("high-error-rate", "confirm", settings, api=api, codes=FAILED)
            shown = await run("circuit-breaker-open", "confirm", settings, api=api, codes=FAILED)
            assert re.search(rf'"{dependency}":"(half_)?open"', shown)
            assert REFUSALS[dependency] in shown
        await eventually(lambda: breaker_is("closed"))


async def test_degraded_response_is_marked(breakable: Breakable) -> None:
    async with breakable.proxies.broken("elasticsearch", Mode.CUT):
        shown = await run("degraded-recommendations", "confirm", breakable.proxies.settings, api=breakable.api.url)
    assert shown.lower().startswith("warning: 199")


async def test_end_of_a_certificate_is_shown(settings: Settings) -> None:
    async with tls_proxy(settings.elasticsearch_url, "Basic anything") as proxy:
        secured = settings.model_copy(update={"elasticsearch_url": f"{proxy.url('elastic:word')},{proxy.url()}"})
        assert "notAfter=" in await run("certificate-ending", "confirm", secured)


async def test_lock_that_fills_the_stream_is_shown_and_ended(
    settings: Settings, backends: Backends, redis: Redis
) -> None:
    await redis.delete(TRACKING_STREAM)
    holder = await asyncpg.connect(plain(settings.database_url))
    pid = await holder.fetchval("SELECT pg_backend_pid()")
    await holder.execute("BEGIN; LOCK TABLE events")

    async def is_stored() -> bool:
        return int(await redis.xlen(TRACKING_STREAM)) == 0

    async with serve_process(settings) as api, worker_process(settings) as worker, http_client(api.url) as client:
        await worker.wait_until_responding()
        await api.wait_until_responding("/readyz")
        for batch in range(1, 4):
            response = await client.post("/api/events/batch", json={"events": [event() for _ in range(EVENTS)]})
            assert response.status_code == 202
            await eventually(lambda: waits_for_a_lock(backends.postgres))
            shown = await run("tracking-stream-filling", "confirm", settings)
            assert str(batch * EVENTS) in shown.splitlines()
        assert f"{pid}|" in await run("tracking-stream-filling", "cause", settings)
        await run("high-error-rate", "first", settings)
        await eventually(is_stored, within=30)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await holder.execute("SELECT 1")
