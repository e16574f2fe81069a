from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest
from aiohttp import web

from app.backends.failover_client import FailoverHttpClient
from app.backends.http_client import HttpClient
from core import clients
from core.configuration.settings import Settings, SettingsError, load_settings
from scripts.dev_stack.ports import free_port
from tests.support.api.serving import serving
from tests.support.fault_proxy import FaultProxy, Mode


def failover_client(urls: Sequence[str]) -> FailoverHttpClient:
    return FailoverHttpClient([HttpClient(url, seconds=5, connections=2) for url in urls])


@asynccontextmanager
async def server(name: str, port: int) -> AsyncIterator[None]:
    """Run a server that responds with its name."""

    async def respond(request: web.Request) -> web.Response:
        return web.Response(text=name)

    application = web.Application()
    application.add_routes([web.post("/search", respond)])
    runner = web.AppRunner(application, access_log=None)
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
    assert found == {str(min({0, 1, 2} - down))}


async def test_server_that_fails_later_is_left() -> None:
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with closing(failover_client(urls)) as client:
        async with server("second", ports[1]):
            async with server("first", ports[0]):
                assert (await client.post("/search", b"{}")).body == b"first"
            assert (await client.post("/search", b"{}")).body == b"second"
        with pytest.raises(ConnectionError):
            await client.post("/search", b"{}")


async def test_server_that_stalls_is_left_within_the_request() -> None:
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with server("first", ports[0]), server("second", ports[1]), FaultProxy(urls[0]) as proxy:
        await proxy.switch(Mode.STALL)
        with closing(failover_client([proxy.url, urls[1]])) as client:
            assert (await client.post("/search", b"{}")).body == b"second"


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
