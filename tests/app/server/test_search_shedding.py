"""Which requests are refused, packet by packet, while as many searches are made as Elasticsearch can work on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Scope

from app.server.admission import AdmissionController
from core.configuration.settings import Settings
from tests.support.api.connection import Connection, RecordingApp

SEARCH = b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%b"
CHUNKED = b"POST /search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n%b\r\n0\r\n\r\n"
EXPECTING = b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n%b"
OTHER = b"%b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nnew"
BUSY = 100
"""Searches in flight, more than any limit."""
FEW = 5
"""Searches in flight from which it counts what a search is answered from, fewer than the lowest limit."""


def is_cached(_scope: Scope, body: bytes) -> bool:
    return body == b"old"


@pytest.fixture
def admission() -> AdmissionController:
    """Return a controller of a process that makes too many searches."""
    controller = AdmissionController(10_000, search_endpoints={("POST", "/search")}, is_cached=is_cached)
    controller.searches.in_flight = controller.searches.searching = BUSY
    return controller


@pytest.fixture
def app() -> RecordingApp:
    return RecordingApp()


@pytest.fixture
async def connection(
    settings: Settings, app: RecordingApp, admission: AdmissionController
) -> AsyncIterator[Connection]:
    connection = Connection(app, settings, admission=admission)
    yield connection
    connection.lose()


@pytest.mark.parametrize("request_bytes", [SEARCH, CHUNKED], ids=["length", "chunked"])
async def test_new_search_is_refused_and_a_cached_one_served(
    connection: Connection, app: RecordingApp, request_bytes: bytes
) -> None:
    await connection.send(request_bytes % b"new", request_bytes % b"old", request_bytes % b"new")
    assert connection.statuses == [503, 200, 503]
    assert app.bodies == [b"old"]


@pytest.mark.parametrize("line", [b"POST /event", b"PUT /search", b"POST /search/", b"GET /search"])
async def test_other_endpoints_are_served(connection: Connection, app: RecordingApp, line: bytes) -> None:
    await connection.send(OTHER % line)
    assert connection.statuses == [200]
    assert app.bodies == [b"new"]


async def test_search_counts_until_its_response(connection: Connection, admission: AdmissionController) -> None:
    admission.searches.in_flight = admission.searches.searching = 0
    await connection.send(SEARCH % b"new")
    assert connection.statuses == [200]
    assert admission.searches.in_flight == 0


async def test_search_of_a_client_that_left_counts_until_it_ends(
    settings: Settings, admission: AdmissionController
) -> None:
    admission.searches.in_flight = admission.searches.searching = 0
    gate = asyncio.Event()
    connection = Connection(RecordingApp(gate), settings, admission=admission)
    await connection.send(SEARCH % b"new")
    connection.lose()
    assert admission.searches.in_flight == 1
    gate.set()
    await connection.settle()
    assert admission.searches.in_flight == 0


async def test_refused_search_counts_nowhere(connection: Connection, admission: AdmissionController) -> None:
    await connection.send(SEARCH % b"new", SEARCH % b"new")
    assert admission.searches.in_flight == BUSY
    assert admission.rejected == 2


async def test_cached_search_is_no_sign_of_a_flood(connection: Connection, admission: AdmissionController) -> None:
    await connection.send(SEARCH % b"old")
    admission.searches.in_flight, admission.searches.searching = FEW, 0
    await connection.send(SEARCH % b"new", SEARCH % b"old")
    assert connection.statuses == [200, 200, 200]


async def test_cached_searches_crowd_nothing(settings: Settings, admission: AdmissionController) -> None:
    admission.searches.in_flight = admission.searches.searching = FEW
    gate = asyncio.Event()
    connections = [Connection(RecordingApp(gate), settings, admission=admission) for _ in range(BUSY)]
    for connection in connections:
        await connection.send(SEARCH % b"old")
    assert admission.searches.in_flight == FEW
    gate.set()
    for connection in connections:
        await connection.settle()
        assert connection.statuses == [200]
        connection.lose()


@pytest.mark.parametrize("request_bytes", [SEARCH, CHUNKED, EXPECTING], ids=["length", "chunked", "expecting"])
async def test_search_whose_body_is_late_is_decided_on_once_it_is_there(
    connection: Connection, app: RecordingApp, admission: AdmissionController, request_bytes: bytes
) -> None:
    for body in (b"new", b"old", b"new"):
        head, _, rest = (request_bytes % body).partition(b"\r\n\r\n")
        await connection.send(head + b"\r\n\r\n", rest)
    assert [status for status in connection.statuses if status != 100] == [503, 200, 503]
    assert (app.bodies, app.disconnected) == ([b"old"], 2)
    assert (admission.searches.in_flight, admission.rejected) == (BUSY, 2)


async def test_refused_search_is_not_asked_to_continue(connection: Connection) -> None:
    connection.protocol.data_received(EXPECTING % b"")
    await connection.send(b"new")
    assert connection.statuses == [503]


async def test_late_body_counts_until_its_response(settings: Settings, admission: AdmissionController) -> None:
    admission.searches.in_flight = admission.searches.searching = 0
    gate = asyncio.Event()
    connection = Connection(RecordingApp(gate), settings, admission=admission)
    await connection.send(SEARCH % b"", b"new")
    assert admission.searches.in_flight == 1
    gate.set()
    await connection.settle()
    assert (connection.statuses, admission.searches.in_flight) == ([200], 0)
    connection.lose()


async def test_slow_bodies_hold_no_places(settings: Settings, app: RecordingApp) -> None:
    admission = AdmissionController(10_000, search_endpoints={("POST", "/search")})
    slow = [Connection(app, settings, admission=admission) for _ in range(BUSY)]
    for connection in slow:
        await connection.send(SEARCH % b"n")
    quick = Connection(app, settings, admission=admission)
    await quick.send(SEARCH % b"new")
    assert quick.statuses == [200]
    for connection in (*slow, quick):
        connection.lose()
