"""Framing, pipelining and errors of the HTTP protocol, packet by packet."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from app.server import protocol
from app.server.admission import AdmissionController
from app.server.framing import MAX_CHUNK_FRAMING, MAX_HEAD
from app.server.parsing_protocol import MAX_PIPELINED
from core.configuration.settings import Settings
from tests.support.api.connection import Connection, RecordingApp, cut
from tests.support.eventually import eventually

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /posted HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMINGS = {
    "length": b"Content-Length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nG\r\n%x\r\n%b\r\n0\r\nX-Last: 1\r\n\r\n"
    % (len(SMUGGLED) - 1, SMUGGLED[1:]),
}
UPGRADES = {
    "none": b"",
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "websocket": b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "several": b"Upgrade: a\r\nconnection: keep-alive\r\nConnection: UPGRADE\r\nUpgrade: b\r\n",
}


@pytest.fixture
def app() -> RecordingApp:
    return RecordingApp()


@pytest.fixture
def lose_all() -> Iterator[Callable[[Connection], Connection]]:
    """Ends the connections that it is called with at the end of the test, and with them their timers."""
    opened: list[Connection] = []

    def remember(connection: Connection) -> Connection:
        opened.append(connection)
        return connection

    yield remember
    for connection in opened:
        connection.lose()


Connect = Callable[..., Connection]


@pytest.fixture
def connect(settings: Settings, app: RecordingApp, lose_all: Callable[[Connection], Connection]) -> Connect:
    return lambda served=app, **options: lose_all(Connection(served, settings, **options))


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
async def test_body_is_never_parsed_as_request(
    connect: Connect, app: RecordingApp, upgrade: bytes, framing: bytes
) -> None:
    """However the bytes are cut into two packets, upgrades included."""
    request = POST + upgrade + framing
    for position in range(len(request)):
        connection = connect()
        await connection.send(*cut(request + GET % 1, position))
        assert connection.statuses == [200, 200], position
        assert [scope["path"] for scope in app.scopes] == ["/posted", "/1"]
        assert app.bodies == [SMUGGLED, b""]
        assert b"upgrade" not in dict(app.scopes[0]["headers"])
        app.scopes.clear()
        app.bodies.clear()
        connection.lose()


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
async def test_bytes_may_arrive_one_by_one(connect: Connect, app: RecordingApp, upgrade: bytes) -> None:
    data = b"".join(POST + upgrade + framing for framing in FRAMINGS.values())
    connection = connect()
    await connection.send(*(data[position : position + 1] for position in range(len(data))))
    assert app.bodies == [SMUGGLED] * len(FRAMINGS)
    assert connection.statuses == [200] * len(FRAMINGS)


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (b"GET / HTTP/1.1", b"", 400),
        (b"GET / HTTP/1.1", b"Host: x\r\nHost: x\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: x y\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: x/y\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: user@x\r\n", 400),
        (b"GET / HTTP/1.0", b"", 200),
        (b"GET / HTTP/1.0", b"Host: x\r\nHost: y\r\n", 400),
        (b"GET http://x/ HTTP/1.1", b"Host: x\r\n", 200),
        (b"GET HTTP://x/ HTTP/1.1", b"Host: x\r\n", 200),
        (b"GET ftp://x/ HTTP/1.1", b"Host: x\r\n", 400),
        (b"GET x HTTP/1.1", b"Host: x\r\n", 400),
        (b"GET * HTTP/1.1", b"Host: x\r\n", 400),
        (b"OPTIONS * HTTP/1.1", b"Host: x\r\n", 200),
        (b"GET  / HTTP/1.1", b"Host: x\r\n", 400),
        (b"GET / HTTP/1.1 ", b"Host: x\r\n", 400),
        (b"GET /#fragment HTTP/1.1", b"Host: x\r\n", 400),
        (b"GET /?query#fragment HTTP/1.1", b"Host: x\r\n", 400),
        (b"GET /", b"", 400),
        (b"GET / HTTP/0.9", b"Host: x\r\n", 505),
        (b"GET / HTTP/1.2", b"Host: x\r\n", 505),
        (b"GET / HTTP/2.0", b"Host: x\r\n", 505),
        (b"GET / HTTP/3", b"Host: x\r\n", 505),
        (b"PRI * HTTP/2.0", b"", 505),
        (b"GET / RTSP/1.0", b"Host: x\r\n", 400),
        (b"SOURCE / ICE/1.0", b"Host: x\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1", b"Host: x\r\n", 501),
        (b"CONNECT /path HTTP/1.1", b"Host: x\r\n", 501),
        (b"POST / HTTP/1.1", b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        (b"POST / HTTP/1.1", b"Host: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"POST / HTTP/1.1", b"Host: x\r\nTransfer-Encoding: gzip\r\n", 400),
        (b"POST / HTTP/1.1", b"Host: x\r\nTransfer-Encoding: chunked, chunked\r\n", 400),
        (b"POST / HTTP/1.1", b"Host: x\r\nTransfer-Encoding: chunked;q=1\r\n", 400),
        (b"POST / HTTP/1.1", b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        (b"POST / HTTP/1.0", b"Host: x\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"POST / HTTP/1.1", b"Host: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n", 400),
    ],
)
async def test_status_of_odd_request(connect: Connect, request_line: bytes, headers: bytes, status: int) -> None:
    """Refused is refused with `Upgrade`, and if another request follows: that one gets no response."""
    for extra in (b"", UPGRADES["h2c"]):
        connection = connect()
        await connection.send(request_line + b"\r\n" + headers + extra + b"\r\n" + b"0\r\n\r\n" + GET % 1)
        assert connection.statuses[0] == status
        if status != 200:
            assert connection.statuses == [status]
            assert connection.transport.closed
            assert b"connection: close" in connection.received


AUTHORITIES = {
    **dict.fromkeys((b"x", b"x:80", b"a-b.c", b"127.0.0.1:65535", b"[::1]", b"[::1]:80", b"[::ffff:1.2.3.4]"), 200),
    **dict.fromkeys((b"u@x", b"u:p@x", b"@x", b"x@", b"x:80:80", b"x:8o", b"x:-1", b"x:+1", b"x:999999"), 400),
    **dict.fromkeys((b"[::1", b"::1", b"::1]", b"[]", b"[x]", b"[::1]x", b"[::1]80", b"[[::1]]", b"x[::1]"), 400),
    **dict.fromkeys((b"a,b", b"x\\", b"x\x7f", b"\xc3\xa9", b"x%2fy", b"x|y", b'"x"', b"<x>"), 400),
}
"""Statuses of requests by the host that they name."""


@pytest.mark.parametrize("authority", AUTHORITIES)
async def test_host_is_well_formed_wherever_it_is_named(connect: Connect, authority: bytes) -> None:
    for request in (
        b"GET / HTTP/1.1\r\nHost: %b",
        b"GET http://%b/ HTTP/1.1\r\nHost: x",
        b"GET HTTPS://%b/?a HTTP/1.0",
    ):
        connection = connect()
        await connection.send(request % authority + b"\r\n\r\n")
        assert connection.statuses == [AUTHORITIES[authority]], request


@pytest.mark.parametrize("target", [b"http://", b"http:///", b"http://:80/", b"http:/x", b"http:x", b"//x@y"])
async def test_absolute_target_without_host(connect: Connect, target: bytes) -> None:
    connection = connect()
    await connection.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
    assert connection.statuses == [200 if target.startswith(b"//") else 400]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a%2fb", "/a%2fb"),
        (b"/%2Fa%20b", "/%2Fa b"),
        (b"/%61", "/a"),
        (b"/a%252fb", "/a%2fb"),
        (b"/%C3%A9%2f", "/\u00e9%2f"),
        (b"/a?%2f", "/a"),
    ],
)
async def test_encoded_slash_separates_nothing(connect: Connect, app: RecordingApp, target: bytes, path: str) -> None:
    await connect().send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
    assert [scope["path"] for scope in app.scopes] == [path]


@pytest.mark.parametrize(("version", "expected"), [(b"1.1", [100, 200]), (b"1.0", [200])])
async def test_continue_is_sent_to_who_knows_it(connect: Connect, version: bytes, expected: list[int]) -> None:
    connection = connect()
    head = b"POST / HTTP/%b\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n" % version
    await connection.send(head, b"{}")
    assert connection.statuses == expected


@pytest.mark.parametrize("where", ["sizes", "extensions", "one extension", "trailers", "one trailer", "empty lines"])
async def test_chunk_framing_is_bounded(connect: Connect, app: RecordingApp, where: str) -> None:
    endless = {
        "sizes": b"1\r\nx\r\n" * MAX_CHUNK_FRAMING,
        "extensions": b"1;a=b\r\nx\r\n" * MAX_CHUNK_FRAMING,
        "one extension": b"1;a=" + b"b" * 2 * MAX_CHUNK_FRAMING,
        "trailers": b"0\r\n" + b"X-A: b\r\n" * MAX_CHUNK_FRAMING,
        "one trailer": b"0\r\nX-A: " + b"b" * 2 * MAX_CHUNK_FRAMING,
        "empty lines": b"000\r\n" * MAX_CHUNK_FRAMING,
    }[where]
    for size in (1000, 65536):
        connection = connect()
        packets = [endless[start : start + size] for start in range(0, len(endless), size)]
        await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n", *packets)
        assert connection.statuses == [400]
        assert connection.transport.closed
    assert not app.bodies


async def test_trailers_are_no_headers(connect: Connect, app: RecordingApp) -> None:
    connection = connect()
    body = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Admin-Key: x\r\nHost: y\r\n\r\n"
    await connection.send(POST + body + GET % 1)
    assert connection.statuses == [200, 200]
    for scope in app.scopes:
        assert {name for name, _ in scope["headers"]} <= {b"host", b"transfer-encoding"}


async def test_ordinary_chunks_are_accepted(connect: Connect, app: RecordingApp) -> None:
    """A megabyte in chunks of 512 bytes, as streaming clients send it."""
    chunk = b"200\r\n" + b" " * 512 + b"\r\n"
    connection = connect()
    await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk * 64] * 32, b"0\r\n\r\n")
    assert connection.statuses == [200]
    assert len(app.bodies[0]) == 2**20


async def test_pipeline_longer_than_a_head_is_served_in_order(connect: Connect, app: RecordingApp) -> None:
    data = b"".join(GET % number for number in range(5000))
    connection = connect()
    await connection.send(data)
    while connection.transport.reading is False or len(app.scopes) < 5000:
        await asyncio.sleep(0)
    await connection.settle()
    assert [scope["path"] for scope in app.scopes] == [f"/{number}" for number in range(5000)]
    assert connection.statuses == [200] * 5000


async def test_few_requests_of_a_connection_wait(connect: Connect) -> None:
    gate = asyncio.Event()
    app = RecordingApp(gate)
    connection = connect(app)
    await connection.send(b"".join(GET % number for number in range(1000)))
    assert len(app.scopes) == 1
    assert len(connection.protocol.pipeline) == MAX_PIPELINED
    assert not connection.transport.reading
    gate.set()
    while len(connection.statuses) < 1000:
        assert len(connection.protocol.pipeline) <= MAX_PIPELINED
        await asyncio.sleep(0)


async def test_other_tasks_run_between_slices_of_a_pipeline(connect: Connect) -> None:
    """Also while requests are shed, which needs no task."""
    connection = connect(admission=AdmissionController(0))
    connection.protocol.data_received(b"".join(GET % number for number in range(1000)))
    assert len(connection.statuses) <= MAX_PIPELINED + 1
    while len(connection.statuses) < 1000:
        await asyncio.sleep(0)
    assert set(connection.statuses) == {503}


@pytest.mark.parametrize("size", [MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1])
@pytest.mark.parametrize("before", [0, 1, 16])
async def test_head_is_counted_from_its_own_first_byte(connect: Connect, size: int, before: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: %b\r\n\r\n"
    head %= b"x" * (size - len(head) + 2)
    data = (GET % 0) * before + head
    for packets in ([data], cut(data, len(data) - 2), cut(data, 1, MAX_HEAD // 2, len(data) - 3)):
        connection = connect()
        await connection.send(*packets)
        await eventually_served(connection, before + 1)
        assert connection.statuses == [200] * before + [200 if size <= MAX_HEAD else 400]


async def eventually_served(connection: Connection, count: int) -> None:
    for _ in range(100):
        if len(connection.statuses) >= count:
            break
        await connection.settle()


async def test_endless_empty_lines_are_no_head(connect: Connect) -> None:
    connection = connect()
    await connection.send(*[b"\r\n" * 1000] * 40)
    assert connection.statuses == [400]
    assert connection.transport.closed


BROKEN = {
    "head": b"BROKEN\r\n\r\n",
    "head without host": b"GET / HTTP/1.1\r\n\r\n",
    "chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nbroken\r\n",
    "trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nbroken\r\n\r\n",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("before", [0, 1, 5, 30])
async def test_error_is_sent_after_earlier_responses(connect: Connect, broken: bytes, before: int) -> None:
    gate = asyncio.Event()
    app = RecordingApp(gate)
    connection = connect(app)
    await connection.send((GET % 0) * before + broken + GET % 1)
    if before:
        assert connection.statuses == []
    gate.set()
    await eventually_served(connection, before + 1)
    await connection.settle()
    assert connection.statuses == [200] * before + [400]
    assert connection.transport.closed
    assert len(app.bodies) == before


@pytest.mark.parametrize("broken", [BROKEN["chunk"], BROKEN["trailer"]], ids=["chunk", "trailer"])
async def test_error_is_no_second_response(connect: Connect, broken: bytes) -> None:
    """Here the request has been shed before its body arrived."""
    head, body = broken.split(b"\r\n\r\n", 1)
    connection = connect(admission=AdmissionController(0))
    await connection.send(head + b"\r\n\r\n", body, SMUGGLED)
    assert connection.statuses == [503]
    assert connection.transport.closed


@pytest.mark.parametrize("broken", [BROKEN["chunk"], BROKEN["trailer"]], ids=["chunk", "trailer"])
async def test_broken_body_ends_a_running_request(connect: Connect, app: RecordingApp, broken: bytes) -> None:
    head, body = broken.split(b"\r\n\r\n", 1)
    connection = connect()
    await connection.send(head + b"\r\n\r\n", body, SMUGGLED)
    assert connection.statuses == [400]
    assert (len(app.scopes), app.disconnected) == (1, 1)


@pytest.mark.parametrize("last", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"])
async def test_nothing_is_served_after_the_last_request(connect: Connect, app: RecordingApp, last: bytes) -> None:
    connection = connect()
    await connection.send(last + SMUGGLED)
    assert connection.statuses == [200]
    assert len(app.scopes) == 1


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
@pytest.mark.parametrize("count", [1, 2, 10, 100])
async def test_lost_connection_cancels_its_requests(connect: Connect, error: Exception | None, count: int) -> None:
    gate = asyncio.Event()
    app = RecordingApp(gate)
    connection = connect(app)
    await connection.send((GET % 0) * count)
    connection.lose(error)
    gate.set()
    await connection.settle()
    assert (len(app.scopes), app.disconnected, app.bodies) == (1, 1, [])
    assert connection.received == b""
    assert not connection.server_state.tasks


@pytest.mark.parametrize("max_requests", [0, 10], ids=["shed", "served"])
@pytest.mark.parametrize("positions", [[], [60]], ids=["one packet", "two packets"])
async def test_idle_connection_is_closed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, max_requests: int, positions: list[int]
) -> None:
    """Also if the response was sent before the request's body had arrived."""
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.05)
    connection = connect(admission=AdmissionController(max_requests))
    await connection.send(*cut(POST + FRAMINGS["length"], *positions))
    assert len(connection.statuses) == 1
    await eventually(lambda: connection.transport.closed)


async def test_arriving_request_is_not_idle(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.05)
    connection = connect()
    await connection.send(GET % 1, (GET % 2)[:10])
    await asyncio.sleep(0.12)
    await connection.send((GET % 2)[10:])
    assert connection.statuses == [200, 200]


@pytest.mark.parametrize("data", [*BROKEN.values(), (GET % 0)[:10] + b"\0"], ids=[*BROKEN, "beginning"])
async def test_client_that_is_sending_is_not_reset(connect: Connect, data: bytes) -> None:
    connection = connect()
    await connection.send(data)
    assert connection.statuses == [400]
    assert connection.transport.lingers
    assert connection.transport.reading
    connection.protocol.data_received(GET % 1)
    await connection.settle()
    assert connection.statuses == [400]


async def test_idle_connection_is_closed_at_once(connect: Connect) -> None:
    """A client's pool notices the end of an idle connection late, and would delay the end of the process."""
    for requests in ([], [GET % 0], [POST + FRAMINGS["chunks"]], [b"GET / HTTP/1.0\r\n\r\n"]):
        connection = connect()
        await connection.send(*requests)
        connection.protocol.shutdown()
        assert connection.transport.closed
        assert not connection.transport.lingers
