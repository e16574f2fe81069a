"""The gateway while processes die, stall, come back or are restarted."""

import asyncio
import itertools
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.routes import endpoints_of
from core.configuration.roles import Role
from core.configuration.settings import Settings
from scripts.drill.load_generator import LoadClient, Outcome, Request, load_client, percentile, visitor
from tests.app.conftest import ADMIN_KEY
from tests.gateway.conftest import ORIGIN, SplitSystem, split_system
from tests.gateway.test_split import SEARCH, assert_error
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.gateway import TLS, needs_nginx, of_all_roles, running_gateway
from tests.support.processes import RunningProcess, responds, worker_process

log = logging.getLogger(__name__)

pytestmark = [needs_nginx, pytest.mark.slow, pytest.mark.usefixtures("trips")]


def new_connections(url: str) -> AbstractAsyncContextManager[LoadClient]:
    """Open a client that uses no connection twice.

    At a reload nginx closes idle ones; a request that is sent at that very moment has to be sent again, as browsers do.
    """
    return load_client(url, tls=TLS, reuse=False, Authorization=f"Bearer {ADMIN_KEY}")


def mixed() -> Iterator[Request]:
    """Requests of all roles."""
    return cycle(
        [
            Request("search", "POST", SEARCH, {"budget": 5000}),
            Request("resource", "GET", "/api/tags"),
            Request("trips", "GET", "/api/v2/occurrences"),
            Request("event", "POST", "/api/events", visitor(event_type="page_view")),
            Request("health", "GET", "/api/health"),
            Request("admin", "GET", "/api/admin/index"),
        ]
    )


async def test_death_of_one_of_two_processes_is_not_noticed(settings: Settings) -> None:
    async with split_system(settings) as system, load_client(system.gateway.url, tls=TLS) as load:
        searches = cycle([Request("search", "POST", SEARCH, {}), Request("root", "GET", "/api/health")])
        running = asyncio.create_task(load.run(searches, rate=50, seconds=6))
        await system.processes["recommendations"][0].kill()
        outcomes = await running
        assert [outcome for outcome in outcomes if not outcome.succeeded] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "repeated"),
    [
        ("POST", SEARCH, {}, True),
        ("GET", "/api/v2/occurrences", None, True),
        # It may have been stored.
        ("POST", "/api/events", visitor(event_type="page_view"), False),
    ],
)
async def test_request_that_changes_nothing_is_repeated_when_its_process_dies(
    settings: Settings, method: str, path: str, body: dict[str, Any] | None, repeated: bool
) -> None:
    """Two processes stand still until each has half of the requests; one dies with them, the other goes on."""
    async with (
        serve_process(settings) as dying,
        serve_process(settings) as other,
        running_gateway(of_all_roles(dying.port, other.port)) as gateway,
        gateway.client(headers={"Origin": ORIGIN}) as client,
    ):
        for process in (dying, other):
            os.kill(process.process.pid, signal.SIGSTOP)
        # The gateway gives a request to the process with the fewest.
        requests = [asyncio.create_task(client.request(method, path, json=body)) for _ in range(6)]
        try:
            for process in (dying, other):
                await eventually(partial(has_requests, process.port, 3))
            await dying.kill()
        finally:
            os.kill(other.process.pid, signal.SIGCONT)
        responses = await asyncio.gather(*requests)
        failed = [response for response in responses if response.status_code >= 300]
        assert len(failed) == (0 if repeated else 3)
        for response in failed:
            assert_error(response, 502, "unavailable")


ESTABLISHED = "01"


def has_requests(port: int, number: int) -> bool:
    """Return whether so many connections to the port have data that the process has not read."""
    _, *connections = (line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines())
    unread = [
        int(queues.partition(":")[2], 16)
        for _, local, _, state, queues, *_ in connections
        if local.endswith(f":{port:04X}") and state == ESTABLISHED
    ]
    return sum(length > 0 for length in unread) == number


async def test_public_data_is_served_while_every_process_is_down(settings: Settings) -> None:
    async with (
        serve_process(settings) as process,
        running_gateway(of_all_roles(process.port)) as gateway,
        gateway.client(headers={"Origin": ORIGIN}) as client,
    ):
        fresh = await client.get("/api/tags")
        assert "warning" not in fresh.headers
        assert (await client.get("/api/v2/occurrences")).status_code == 200
        assert set(fresh.headers["vary"].replace(" ", "").split(",")) == {"Origin", "Accept-Encoding"}
        await process.kill()

        async def is_marked() -> bool:
            outdated = await client.get("/api/tags")
            assert (outdated.status_code, outdated.content) == (200, fresh.content)
            return outdated.headers.get("warning", "").startswith("110 ") and (
                outdated.headers["cache-control"] == "no-cache"
            )

        await eventually(is_marked, within=30)
        assert_error(await client.get("/api/v2/occurrences"), 502, "unavailable")
        error = await client.get("/api/v2/occurrences", headers={"Accept-Language": "he-IL"})
        assert error.headers["content-language"] == "he"
        assert "connection" in error.json()["error"]
        assert int(error.headers["retry-after"]) > 0


async def test_other_origins_get_no_cors_headers(settings: Settings) -> None:
    async with running_gateway(of_all_roles(1)) as gateway, gateway.client() as client:
        error = await client.get("/api/tags", headers={"Origin": "https://evil.example"})
        assert error.status_code == 502
        assert not [name for name in error.headers if name.startswith("access-control")]


async def test_changed_public_data_is_served_within_seconds(settings: Settings, engine: AsyncEngine) -> None:
    async with (
        serve_process(settings) as process,
        # There is no worker to invalidate what the process has cached; the other one has cached nothing.
        serve_process(settings, REDIS_PREFIX="other:") as other,
        running_gateway(of_all_roles(process.port)) as gateway,
        gateway.client() as client,
    ):
        before = (await client.get("/api/tags")).content
        async with engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE tags SET name = name || ' changed'")
        await gateway.reload(upstreams=of_all_roles(other.port))

        async def is_changed() -> bool:
            return (await client.get("/api/tags")).content != before

        await eventually(is_changed, within=10)


async def test_stalled_process_costs_a_timeout_of_the_contract(settings: Settings) -> None:
    async with (
        serve_process(settings) as process,
        running_gateway(of_all_roles(process.port), ("proxy_read_timeout 10s", "proxy_read_timeout 1s")) as gateway,
        gateway.client(headers={"Origin": ORIGIN}) as client,
    ):
        os.kill(process.process.pid, signal.SIGSTOP)
        try:
            assert_error(await client.get("/api/v2/occurrences"), 504, "timeout")
        finally:
            os.kill(process.process.pid, signal.SIGCONT)


async def test_flood_of_one_address_is_limited_and_others_are_served(settings: Settings) -> None:
    few = (("rate=100r/s", "rate=1r/s"), ("burst=200", "burst=2"))
    async with serve_process(settings) as process, running_gateway(of_all_roles(process.port), *few) as gateway:
        async with gateway.client(source="127.0.0.2", headers={"Origin": ORIGIN}) as client:
            responses = [await client.get("/livez") for _ in range(20)]
        limited = [response for response in responses if response.status_code != 200]
        assert limited
        for response in limited:
            assert_error(response, 429, "too_many_requests")
            assert int(response.headers["retry-after"]) > 0
        async with gateway.client(source="127.0.0.3") as other:
            assert (await other.get("/livez")).status_code == 200


async def test_api_limits_real_client_addresses(settings: Settings) -> None:
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_DEFAULT": "3/minute", "TRUSTED_PROXIES": "127.0.0.1"}
    async with (
        serve_process(settings, port=None, **limits) as process,
        running_gateway(of_all_roles(process.port)) as gateway,
    ):
        async with gateway.client(source="127.0.0.2") as client:
            forged = [
                (await client.get("/api/metrics", headers={"X-Forwarded-For": f"1.2.3.{n}"})).status_code
                for n in range(5)
            ]
        assert forged == [200, 200, 200, 429, 429]
        async with gateway.client(source="127.0.0.3") as other:
            assert (await other.get("/api/metrics")).status_code == 200


async def test_operators_paths_are_for_listed_networks(settings: Settings) -> None:
    inside = ("127.0.0.0/8 1;", "127.0.0.1/32 1;")
    async with serve_process(settings) as process, running_gateway(of_all_roles(process.port), inside) as gateway:
        async with gateway.client() as operator:
            assert (await operator.get("/metrics")).status_code == 200
            assert (await operator.get("/api/admin/index")).status_code == 401
        async with gateway.client(source="127.0.0.2", headers={"Origin": ORIGIN}) as visitor:
            paths = {endpoint.path for endpoint in endpoints_of(["admin"])} - {
                endpoint.path for endpoint in endpoints_of([])
            }
            for path in {"/metrics", "/api/admin", *paths}:
                first = path[path.rindex("/") + 1 :][0]
                spellings = ("/", "//"), (path, path.upper()), (f"/{first}", f"/%{ord(first):02x}"), ("/", "/x/../")
                for old, new in spellings:
                    for form in (path.replace(old, new, 1), f"{path}/"):
                        assert_error(await visitor.get(f"{gateway.url}{form}"), 404, "not_found")


async def test_reload_fails_no_request(settings: Settings) -> None:
    async with (
        serve_process(settings, ADMIN_KEY=ADMIN_KEY) as process,
        running_gateway(of_all_roles(process.port)) as gateway,
    ):
        async with new_connections(gateway.url) as load:
            running = asyncio.create_task(load.run(mixed(), rate=50, seconds=6))
            for _ in range(3):
                await gateway.reload()
            outcomes = await running
        assert [outcome for outcome in outcomes if not outcome.succeeded] == []


async def test_rolling_restart_of_every_process_fails_no_request(settings: Settings) -> None:
    """Each process is replaced by a new one: started, named to the gateway, and only then is the old one ended."""
    async with (
        split_system(settings) as system,
        worker_process(settings) as first,
        worker_process(settings) as second,
        new_connections(system.gateway.url) as load,
        AsyncExitStack() as stack,
    ):
        for worker in (first, second):
            await eventually(partial(responds, f"{worker.url}/readyz"), within=60)
        stop, outcomes = asyncio.Event(), list[Outcome]()
        running = asyncio.create_task(generate(load, stop, outcomes))
        for role, processes in system.processes.items():
            for old in processes:
                new = serve_process(settings, ROLES=role, TRUSTED_PROXIES="127.0.0.1", ADMIN_KEY=ADMIN_KEY)
                await replace_process(system, role, old, await stack.enter_async_context(new))
        for worker in (first, second):
            new_worker = await stack.enter_async_context(worker_process(settings))
            await eventually(partial(responds, f"{new_worker.url}/readyz"), within=60)
            await end(worker)
        stop.set()
        await running
    assert {outcome.kind for outcome in outcomes} == {request.kind for request in itertools.islice(mixed(), 10)}
    assert [outcome.summary for outcome in outcomes if not outcome.succeeded] == []
    log.info("%d requests, p99 %.3f s", len(outcomes), percentile(outcomes, 0.99))


async def generate(load: LoadClient, stop: asyncio.Event, outcomes: list[Outcome]) -> None:
    """Send 50 requests a second until `stop` is set."""
    requests = mixed()
    while not stop.is_set():
        outcomes.extend(await load.run(requests, rate=50, seconds=1))


async def replace_process(system: SplitSystem, role: Role, old: RunningProcess, new: RunningProcess) -> None:
    await eventually(partial(responds, f"{new.url}/readyz"), within=60)
    upstreams = dict(system.gateway.configuration.upstreams)
    upstreams[role] = tuple(new.port if port == old.port else port for port in upstreams[role])
    await system.gateway.reload(upstreams=upstreams)
    await end(old)


async def end(process: RunningProcess) -> None:
    process.process.terminate()
    assert await process.process.wait() == 0
