import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from urllib.parse import urlsplit

import pytest

from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

SOON = 5.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that says back each line in capitals, and remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.hung_up = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            self.heard.append(line)
            writer.write(line.upper())
        writer.close()
        self.hung_up.set()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    server = Echo()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    yield server, f"echo://user@127.0.0.1:{listener.sockets[0].getsockname()[1]}/path"
    listener.close()


@pytest.fixture
async def proxy(echo: tuple[Echo, str]) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(echo[1]) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(urlsplit(proxy.url).port or 0))
    yield reader, writer
    writer.transport.abort()


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[Streams]:
    """Connected, and answered once."""
    async with connected(proxy) as streams:
        assert await ask(streams, b"hello") == b"HELLO\n"
        yield streams


async def ask(streams: Streams, line: bytes) -> bytes:
    streams[1].write(line + b"\n")
    async with asyncio.timeout(SOON):
        return await streams[0].readline()


async def test_url_differs_in_host_and_port_only(echo: tuple[Echo, str], proxy: FaultProxy) -> None:
    assert proxy.url.startswith("echo://user@127.0.0.1:")
    assert proxy.url.endswith("/path")
    assert proxy.url != echo[1]


async def test_bytes_and_connections_are_counted(proxy: FaultProxy, client: Streams) -> None:
    assert await ask(client, b"more") == b"MORE\n"
    assert [(bytes(known.sent), known.received) for known in proxy.connections] == [(b"hello\nmore\n", 11)]


async def test_cut_closes_connections_and_keeps_the_port(proxy: FaultProxy, client: Streams) -> None:
    address = proxy.url
    await proxy.switch(Mode.CUT)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client[0].readexactly(1)
    with pytest.raises(ConnectionRefusedError):
        async with connected(proxy):
            pass
    await proxy.switch(Mode.PASS)
    assert proxy.url == address
    async with connected(proxy) as streams:
        assert await ask(streams, b"again") == b"AGAIN\n"


async def test_stall_delays_requests_until_it_ends(echo: tuple[Echo, str], proxy: FaultProxy, client: Streams) -> None:
    await proxy.switch(Mode.STALL)
    async with connected(proxy) as late:
        client[1].write(b"held\n")
        late[1].write(b"late\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client[0].readline(), 0.1)
        assert echo[0].heard == [b"hello\n"]
        await proxy.switch(Mode.PASS)
        assert await client[0].readline() == b"HELD\n"
        assert await late[0].readline() == b"LATE\n"


async def test_mute_delays_responses_until_it_ends(echo: tuple[Echo, str], proxy: FaultProxy, client: Streams) -> None:
    await proxy.switch(Mode.MUTE)
    client[1].write(b"heard\n")
    await eventually(lambda: b"heard\n" in echo[0].heard)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client[0].readexactly(1), 0.1)
    await proxy.switch(Mode.PASS)
    assert await client[0].readline() == b"HEARD\n"


async def test_slow_delays_both_directions(proxy: FaultProxy, client: Streams) -> None:
    proxy.delay = 0.05
    await proxy.switch(Mode.SLOW)
    began = monotonic()
    assert await ask(client, b"slow") == b"SLOW\n"
    assert monotonic() - began >= 2 * proxy.delay


async def test_reset_breaks_old_and_new_connections(proxy: FaultProxy, client: Streams) -> None:
    await proxy.switch(Mode.RESET)
    with pytest.raises(ConnectionResetError):
        await client[0].read()
    async with connected(proxy) as late:
        with pytest.raises(ConnectionResetError):
            await late[0].read()


async def test_half_close_still_forwards_requests(echo: tuple[Echo, str], proxy: FaultProxy, client: Streams) -> None:
    await proxy.switch(Mode.HALF_CLOSE)
    async with connected(proxy) as late:
        assert await late[0].read() == b""
    assert await client[0].read() == b""
    client[1].write(b"still\n")
    await eventually(lambda: b"still\n" in echo[0].heard)
    client[1].close()
    await asyncio.wait_for(echo[0].hung_up.wait(), SOON)


async def test_dropped_packets_affect_open_connections_only(
    echo: tuple[Echo, str], proxy: FaultProxy, client: Streams
) -> None:
    proxy.drop_packets()
    client[1].write(b"lost\n")
    async with connected(proxy) as streams:
        assert await ask(streams, b"new") == b"NEW\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client[0].readline(), 0.1)
    assert b"lost\n" not in echo[0].heard


async def test_missing_server_closes_the_connection(echo: tuple[Echo, str]) -> None:
    async with FaultProxy("tcp://user@127.0.0.1:1/path") as proxy, connected(proxy) as streams:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await streams[0].readexactly(1)
