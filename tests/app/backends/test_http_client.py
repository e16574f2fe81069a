import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.backends.http_client import HttpClient, HttpConnection, HttpResponse, request
from core.concurrency.stall_detector import ServerStalledError
from tests.support.eventually import eventually
from tests.support.failed_task import Data, is_freed_with_its_task

FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfound"
LAST = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast"
CERTIFICATE = Path(__file__).parents[2] / "support/api/localhost.pem"
"""Of 127.0.0.1, with its key, for a hundred years; `openssl req -x509 -addext subjectAltName=IP:127.0.0.1` made it."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfou\r\n2\r\nnd\r\n0\r\n\r\n"


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.requests: list[bytes] = []

    async def read_request(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.splitlines() if line.lower().startswith(b"content-length:"))
        self.requests.append(head + await self._reader.readexactly(int(length.partition(b":")[2])))
        return self.requests[-1]

    def respond(self, response: bytes) -> None:
        self._writer.write(response)

    async def ended(self) -> bool:
        return not await self._reader.read(1)


class Server:
    """Each connection follows the script."""

    def __init__(self, script: Callable[[Conversation], Awaitable[None]]) -> None:
        self._script = script
        self.conversations: list[Conversation] = []
        self.going = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.conversations.append(conversation := Conversation(reader, writer))
        self.going += 1
        try:
            await self._script(conversation)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.going -= 1
            writer.close()

    @property
    def requests(self) -> list[int]:
        """Return the number of requests of each connection."""
        return [len(conversation.requests) for conversation in self.conversations]


@asynccontextmanager
async def server(
    script: Callable[[Conversation], Awaitable[None]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, str]]:
    """Run a server that follows the script, and yield it with its address, without the scheme."""
    served = Server(script)
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield served, f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def client(address: str, *, seconds: float = 5, connections: int = 8) -> HttpClient:
    return HttpClient(f"http://{address}", seconds=seconds, connections=connections)


async def found_each_time(script: Callable[[Conversation], Awaitable[None]], times: int) -> Server:
    """Send so many requests one after the other, and return the server."""
    async with server(script) as (served, address):
        asking = client(address)
        assert [await asking.post("/_search", b"{}") for _ in range(times)] == [HttpResponse(200, b"found")] * times
        asking.close()
    return served


async def always_found(conversation: Conversation) -> None:
    while True:
        await conversation.read_request()
        conversation.respond(FOUND)


async def test_sequential_requests_share_a_connection() -> None:
    assert (await found_each_time(always_found, 3)).requests == [3]


async def test_concurrent_requests_use_connections_of_their_own() -> None:
    async with server(always_found) as (served, address):
        asking = client(address)
        await asyncio.gather(*(asking.post("/_search", b"{}") for _ in range(4)))
        await asyncio.gather(*(asking.post("/_search", b"{}") for _ in range(4)))
        asking.close()
    assert served.requests == [2, 2, 2, 2]


async def test_client_is_full_at_its_connection_limit() -> None:
    heard = asyncio.Event()

    async def wait_before_answering(conversation: Conversation) -> None:
        await conversation.read_request()
        heard.set()
        await conversation.ended()

    async with server(wait_before_answering) as (_, address):
        asking = client(address, connections=1)
        request = asyncio.create_task(asking.post("/_search", b"{}"))
        await heard.wait()
        assert asking.is_full
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert not asking.is_full


async def test_request_follows_the_url() -> None:
    async with server(always_found) as (served, address):
        asking = client(f"user:p%40ss@{address}/behind/")
        await asking.post("/trips/_search?request_cache=true", b'{"size":1}')
        asking.close()
    head, _, body = served.conversations[0].requests[0].partition(b"\r\n\r\n")
    request, *fields = head.decode().split("\r\n")
    assert request == "POST /behind/trips/_search?request_cache=true HTTP/1.1"
    assert sorted(fields) == [
        f"authorization: Basic {base64.b64encode(b'user:p@ss').decode()}",
        "content-length: 10",
        "content-type: application/json",
        f"host: {address}",
    ]
    assert body == b'{"size":1}'


async def test_response_may_arrive_in_parts() -> None:
    async def in_pieces(conversation: Conversation) -> None:
        await conversation.read_request()
        for position in range(len(CHUNKED)):
            conversation.respond(CHUNKED[position : position + 1])
            await asyncio.sleep(0)
        await conversation.ended()

    await found_each_time(in_pieces, 1)


async def test_connection_close_is_respected() -> None:
    async def one_answer(conversation: Conversation) -> None:
        await conversation.read_request()
        conversation.respond(LAST)
        await conversation.ended()

    async with server(one_answer) as (served, address):
        asking = client(address)
        assert [await asking.post("/_search", b"{}") for _ in range(2)] == [HttpResponse(404, b"last")] * 2
    assert served.requests == [1, 1]


async def test_broken_idle_connection_is_replaced() -> None:
    async def break_at_the_second(conversation: Conversation) -> None:
        await conversation.read_request()
        conversation.respond(FOUND)
        await conversation.read_request()

    assert (await found_each_time(break_at_the_second, 3)).requests == [2, 2, 1]


async def test_idle_connection_closed_by_server_is_replaced() -> None:
    async def close_after_the_first(conversation: Conversation) -> None:
        await conversation.read_request()
        conversation.respond(FOUND)

    assert len((await found_each_time(close_after_the_first, 5)).conversations) == 5


@pytest.mark.parametrize(
    "said", [b"", FOUND[:-1], b"Good day\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
async def test_second_failure_is_raised(said: bytes) -> None:
    async def break_off(conversation: Conversation) -> None:
        await conversation.read_request()
        conversation.respond(said)

    async with server(break_off) as (served, address):
        asking = client(address)
        with pytest.raises(ConnectionError):
            await asking.post("/_search", b"{}")
    assert served.requests == [1, 1]
    assert not asking.is_full


async def test_timeout_is_not_retried() -> None:
    ended = asyncio.Event()

    async def say_nothing(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.ended()
        ended.set()

    async with server(say_nothing) as (served, address):
        with pytest.raises(TimeoutError):
            await client(address, seconds=0.05).post("/_search", b"{}")
        await ended.wait()
    assert served.requests == [1]


async def test_server_that_stalls_is_left_before_the_timeout() -> None:
    async def say_nothing(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.ended()

    async with server(say_nothing) as (served, address):
        asking = client(address)
        waiting = (asking.post("/_search", b"{}") for _ in range(3))
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServerStalledError] * 3
        await eventually(lambda: served.going == 0)
    assert served.conversations[-1].requests[0].startswith(b"GET / HTTP/1.1\r\n")
    assert len(served.conversations) == 4


async def test_slow_response_is_awaited_while_the_server_responds() -> None:
    probed = asyncio.Event()

    async def respond_after_a_probe(conversation: Conversation) -> None:
        if (await conversation.read_request()).startswith(b"GET"):
            probed.set()
        await probed.wait()
        conversation.respond(FOUND)
        await conversation.ended()

    async with server(respond_after_a_probe) as (_, address):
        asking = client(address)
        assert await asking.post("/_search", b"{}") == HttpResponse(200, b"found")
        asking.close()


async def test_timeout_includes_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(TimeoutError):
        await client("127.0.0.1:1", seconds=0.05).post("/_search", b"{}")


async def test_late_response_is_not_given_to_another_request() -> None:
    heard = asyncio.Event()

    async def answer_only_the_second(conversation: Conversation) -> None:
        request = await conversation.read_request()
        if request.endswith(b"first"):
            heard.set()
            await conversation.ended()
        else:
            conversation.respond(FOUND)

    async with server(answer_only_the_second) as (served, address):
        asking = client(address)
        first = asyncio.create_task(asking.post("/_search", b"first"))
        await heard.wait()
        first.cancel()
        assert await asking.post("/_search", b"second") == HttpResponse(200, b"found")
    assert served.requests == [1, 1]
    assert first.cancelled()


async def test_unsolicited_response_closes_the_connection() -> None:
    async def say_more(conversation: Conversation) -> None:
        await conversation.read_request()
        conversation.respond(FOUND)
        conversation.respond(LAST)
        await conversation.ended()

    assert (await found_each_time(say_more, 2)).requests == [1, 1]


async def test_unreachable_server_raises() -> None:
    with pytest.raises(ConnectionRefusedError):
        await client("127.0.0.1:1").post("/_search", b"{}")


async def test_connection_that_breaks_keeps_no_error() -> None:
    async def hang_up(conversation: Conversation) -> None:
        await conversation.read_request()

    async def ask(data: Data) -> None:
        assert data
        await connection.send(request("GET", "/", b"", b""))

    server = await asyncio.start_server(Server(hang_up).serve, "127.0.0.1", 0)
    connection = await HttpConnection.open(*server.sockets[0].getsockname())
    assert await is_freed_with_its_task(ask, OSError)
    server.close()


async def test_close_closes_all_connections() -> None:
    async with server(always_found) as (served, address):
        asking = client(address)
        await asyncio.gather(*(asking.post("/_search", b"{}") for _ in range(3)))
        asking.close()
        await eventually(lambda: served.going == 0)


@pytest.mark.parametrize("trusted", [True, False])
async def test_https_uses_the_system_certificates(monkeypatch: pytest.MonkeyPatch, trusted: bool) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with server(always_found, tls=tls) as (_, address):
        asking = HttpClient(f"https://{address}", seconds=5, connections=1)
        if trusted:
            assert await asking.post("/_search", b"{}") == HttpResponse(200, b"found")
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asking.post("/_search", b"{}")
        asking.close()
