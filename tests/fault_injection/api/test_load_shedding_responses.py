"""Responses of a process that is at its concurrency limit."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from app.backends.http_client import HttpConnection
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from scripts.benchmark.load.raw_request import RawRequest
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.raw_http import connect_raw

PATH = "/api/countries"
ORIGIN = "https://trips.example.org"
HEADERS = {"Origin": ORIGIN, "X-Request-ID": "of-this-test"}
UNFINISHED = (
    b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
)


@pytest.fixture(scope="module")
async def api(settings: Settings, sample_catalogue: object) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a process that serves one request at a time."""
    async with (
        serve_process(settings, ALLOWED_ORIGINS=ORIGIN, MAX_REQUESTS_IN_FLIGHT="1") as serving,
        http_client(serving.url) as api,
    ):
        yield api


@pytest.fixture
async def full(api: httpx2.AsyncClient) -> AsyncIterator[None]:
    """The process serves an unfinished request, so that it sheds every other."""
    await eventually(lambda: has_status(api, 200))
    async with AsyncExitStack() as stack:

        async def fill() -> bool:
            # This request is shed itself if the one before it has only just been served.
            connection = await stack.enter_async_context(connect_raw(str(api.base_url)))
            await connection.send(UNFINISHED)
            return await has_status(api, 503)

        await eventually(fill)
        yield


async def has_status(api: httpx2.AsyncClient, status: int) -> bool:
    return (await api.get(PATH)).status_code == status


@pytest.mark.usefixtures("full")
async def test_shed_response_is_an_ordinary_error(api: httpx2.AsyncClient) -> None:
    shed = await api.get(PATH, headers=HEADERS)
    assert shed.status_code == 503
    assert int(shed.headers["Retry-After"]) > 0
    assert shed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert shed.headers["X-Request-ID"] == "of-this-test"
    body = shed.json()
    assert (body["success"], body["code"], body["request_id"]) == (False, "overloaded", "of-this-test")


@pytest.fixture
async def not_found(api: httpx2.AsyncClient) -> httpx2.Response:
    """An error response of the application itself, from before the process is full."""
    responses: list[httpx2.Response] = []

    async def is_not_found() -> bool:
        # The request that filled the process in the test before may still be in flight.
        responses.append(await api.get("/api/nothing", headers=HEADERS))
        return responses[-1].status_code == 404

    await eventually(is_not_found)
    return responses[-1]


async def test_shed_response_has_the_headers_of_errors(
    api: httpx2.AsyncClient, not_found: httpx2.Response, full: None
) -> None:
    shed = await api.get(PATH, headers=HEADERS)
    assert not_found.status_code == 404
    assert {*shed.headers} == {*not_found.headers, "retry-after"}


@pytest.mark.usefixtures("full")
async def test_unknown_origin_gets_no_cors_headers(api: httpx2.AsyncClient) -> None:
    shed = await api.get(PATH, headers={"Origin": "https://elsewhere.example.org"})
    assert shed.status_code == 503
    assert not any(name.startswith("access-control") for name in shed.headers)


@pytest.mark.usefixtures("full")
async def test_connection_is_usable_after_shedding(api: httpx2.AsyncClient) -> None:
    for _ in range(3):
        assert (await api.head(PATH)).status_code == 503
        assert (await api.get(PATH)).json()["code"] == "overloaded"
        assert (await api.post("/api/events", json={})).status_code == 503


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", [endpoint.path for endpoint in ENDPOINTS if not endpoint.shed])
async def test_exempt_path_is_not_shed(api: httpx2.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_capacity_returns_when_requests_end(api: httpx2.AsyncClient) -> None:
    await eventually(lambda: has_status(api, 200))


async def test_client_that_waits_for_its_responses_is_never_shed(api: httpx2.AsyncClient) -> None:
    """Its request before has finished, also if the loop has not removed it yet."""
    await eventually(lambda: has_status(api, 200))
    request = RawRequest.build("POST", f"{api.base_url}/api/events", b"{}")
    connection = await HttpConnection.open(request.host, request.port)
    assert {(await connection.send(request.raw)).status for _ in range(500)} == {400}
    connection.abort()
