import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial

import pytest
from aiohttp import web

from app.backends.failover_client import CANCELLED, PATIENCE_SECONDS, FailoverHttpClient, NodeClient
from core import clients
from core.clients import UNAVAILABLE_STATUSES
from core.configuration.settings import Settings, SettingsError, load_settings
from scripts.dev_stack.ports import free_port
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


def failover_client(urls: Sequence[str], seconds: float = 30) -> FailoverHttpClient:
    return FailoverHttpClient([NodeClient(url, seconds=seconds, connections=20) for url in urls], seconds=seconds)


@asynccontextmanager
async def server(name: str, port: int, *, status: int = 200, until: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Run a server that responds with its name, to probes at once, to requests once `until` is set."""

    async def respond(request: web.Request) -> web.Response:
        if until is not None and request.method == "POST":
            await until.wait()
        return web.Response(text=name, status=status)

    application = web.Application()
    application.add_routes([web.post("/search", respond), web.get("/", respond)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("down", [{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}])
async def test_request_goes_to_a_server_that_responds(down: set[int]) -> None:
    ports = [free_port() for _ in range(3)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with AsyncExitStack() as stack:
        for number in {0, 1, 2} - down:
            await stack.enter_async_context(server(str(number), ports[number]))
        with closing(failover_client(urls)) as client:
            found = {(await client.post("/search", b"{}")).body.decode() for _ in range(3)}
    assert found <= {str(number) for number in {0, 1, 2} - down}


async def test_requests_are_spread_over_all_servers() -> None:
    async with AsyncExitStack() as stack:
        ports = [free_port() for _ in range(3)]
        for number, port in enumerate(ports):
            await stack.enter_async_context(server(str(number), port))
        with closing(failover_client([f"http://127.0.0.1:{port}" for port in ports])) as client:
            found = [(await client.post("/search", b"{}")).body for _ in range(6)]
    assert Counter(found) == {b"0": 2, b"1": 2, b"2": 2}


async def test_server_that_failed_is_used_again_once_it_responds() -> None:
    ports = [free_port(), free_port()]
    with closing(failover_client([f"http://127.0.0.1:{port}" for port in ports])) as client:
        async with server("second", ports[1]):
            assert {(await client.post("/search", b"{}")).body for _ in range(4)} == {b"second"}
            async with server("first", ports[0]):
                await eventually(partial(responds_with, client, b"first"))
        with pytest.raises(ConnectionError):
            await client.post("/search", b"{}")


async def responds_with(client: FailoverHttpClient, name: bytes) -> bool:
    return (await client.post("/search", b"{}")).body == name


async def test_server_that_stalls_is_left_within_the_request() -> None:
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with server("first", ports[0]), server("second", ports[1]), FaultProxy(urls[0]) as proxy:
        await proxy.switch(Mode.STALL)
        with closing(failover_client([proxy.url, urls[1]])) as client:
            found = await asyncio.gather(*(client.post("/search", b"{}") for _ in range(10)))
            assert {response.body for response in found} == {b"second"}


async def test_request_that_takes_long_is_sent_to_another_server_too() -> None:
    """The first server responds to probes, but to no request, as one that waits for a node that stands still."""
    ports = [free_port(), free_port()]
    waiting = asyncio.Event()
    async with server("first", ports[0], until=waiting), server("second", ports[1]):
        with closing(failover_client([f"http://127.0.0.1:{port}" for port in ports])) as client:
            found = await asyncio.gather(*(client.post("/search", b"{}") for _ in range(10)))
            assert {response.body for response in found} == {b"second"}
            waiting.set()


async def test_request_waits_where_every_server_takes_long() -> None:
    ports = [free_port(), free_port()]
    waiting = asyncio.Event()
    async with server("slow", ports[0], until=waiting), server("slow", ports[1], until=waiting):
        with closing(failover_client([f"http://127.0.0.1:{port}" for port in ports])) as client:
            requests = [asyncio.create_task(client.post("/search", b"{}")) for _ in range(2)]
            await asyncio.wait(requests, timeout=3 * PATIENCE_SECONDS)
            waiting.set()
            assert {response.body for response in await asyncio.gather(*requests)} == {b"slow"}


async def test_request_ends_at_its_deadline_however_many_servers_there_are() -> None:
    ports = [free_port(), free_port(), free_port()]
    waiting = asyncio.Event()
    async with AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(server("slow", port, until=waiting))
        with closing(failover_client([f"http://127.0.0.1:{port}" for port in ports], seconds=1)) as client:
            with pytest.raises(TimeoutError):
                await client.post("/search", b"{}")
            waiting.set()


@pytest.mark.parametrize(
    ("status", "body"), [*((status, "first") for status in sorted(UNAVAILABLE_STATUSES)), (400, CANCELLED.decode())]
)
async def test_server_that_is_unavailable_is_left_for_another(status: int, body: str) -> None:
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with server(body, ports[0], status=status):
        with closing(failover_client(urls[:1])) as client:
            assert (await client.post("/search", b"{}")).status == status
        async with server("second", ports[1]):
            with closing(failover_client(urls)) as client:
                assert {(await client.post("/search", b"{}")).body for _ in range(4)} == {b"second"}


async def test_clients_use_the_address_that_responds(settings: Settings) -> None:
    several = f"http://127.0.0.1:{free_port()}, {settings.elasticsearch_url}"
    updated = load_settings(**{**settings.model_dump(exclude_unset=True), "elasticsearch_url": several})
    async with clients.elasticsearch(updated.elasticsearch_url, max_retries=0) as es:
        for _ in range(3):
            assert not await es.indices.exists_alias(name="nothing")
    async with serving(updated) as api:
        assert (await api.get("/api/health")).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        *("", ",", "http://one:9200,two:9200", "http://one:9200,http://one:9200"),
        *("http://one", "https://one/path", "http://user:1@one", "http://[::1]", "http://one:9200,http://two"),
    ],
)
def test_wrong_addresses_are_rejected_with_a_sentence(settings: Settings, value: str) -> None:
    with pytest.raises(SettingsError, match="ELASTICSEARCH_URL is wrong: should be"):
        load_settings(**{**settings.model_dump(exclude_unset=True), "elasticsearch_url": value})
