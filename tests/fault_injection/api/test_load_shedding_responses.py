"""A process that is full."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from app.routes import ENDPOINTS
from core.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.raw_http import connect_raw

PATH = "/api/countries"
ORIGIN = "https://trips.example.org"
ASKING = {"Origin": ORIGIN, "X-Request-ID": "of-this-test"}
UNFINISHED = (
    b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
)


@pytest.fixture(scope="module")
async def api(settings: Settings, filled: object) -> AsyncIterator[httpx2.AsyncClient]:
    """Of a process that one request fills."""
    async with (
        serve_process(settings, ALLOWED_ORIGINS=ORIGIN, MAX_REQUESTS_IN_FLIGHT="1") as serving,
        httpx2.AsyncClient(base_url=serving.url) as api,
    ):
        yield api


@pytest.fixture
async def full(api: httpx2.AsyncClient) -> AsyncIterator[None]:
    await eventually(lambda: answers_with(api, 200))
    async with AsyncExitStack() as stack:

        async def fill() -> bool:
            # Refused itself, if the request before it has only just been answered.
            wire = await stack.enter_async_context(connect_raw(str(api.base_url)))
            await wire.send(UNFINISHED)
            return await answers_with(api, 503)

        await eventually(fill)
        yield


async def answers_with(api: httpx2.AsyncClient, status: int) -> bool:
    return (await api.get(PATH)).status_code == status


@pytest.mark.usefixtures("full")
async def test_it_refuses_as_the_application_does(api: httpx2.AsyncClient) -> None:
    refused = await api.get(PATH, headers=ASKING)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert refused.headers["X-Request-ID"] == "of-this-test"
    body = refused.json()
    assert (body["success"], body["code"], body["request_id"]) == (False, "overloaded", "of-this-test")


@pytest.fixture
async def usual(api: httpx2.AsyncClient) -> httpx2.Response:
    """A refusal of the application's own, before there is no room for it."""
    answers: list[httpx2.Response] = []

    async def found_nothing() -> bool:
        # The request that filled the process before this one may not have left it yet.
        answers.append(await api.get("/api/nothing", headers=ASKING))
        return answers[-1].status_code == 404

    await eventually(found_nothing)
    return answers[-1]


async def test_its_refusals_have_the_headers_of_other_errors(
    api: httpx2.AsyncClient, usual: httpx2.Response, full: None
) -> None:
    refused = await api.get(PATH, headers=ASKING)
    assert usual.status_code == 404
    assert {*refused.headers} == {*usual.headers, "retry-after"}


@pytest.mark.usefixtures("full")
async def test_strangers_origins_are_told_nothing(api: httpx2.AsyncClient) -> None:
    refused = await api.get(PATH, headers={"Origin": "https://elsewhere.example.org"})
    assert refused.status_code == 503
    assert not any(name.startswith("access-control") for name in refused.headers)


@pytest.mark.usefixtures("full")
async def test_a_refusal_without_a_body_leaves_the_connection_in_order(api: httpx2.AsyncClient) -> None:
    for _ in range(3):
        assert (await api.head(PATH)).status_code == 503
        assert (await api.get(PATH)).json()["code"] == "overloaded"
        assert (await api.post("/api/events", json={})).status_code == 503


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", [endpoint.path for endpoint in ENDPOINTS if not endpoint.shed])
async def test_probes_are_let_in(api: httpx2.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_there_is_room_again_afterwards(api: httpx2.AsyncClient) -> None:
    await eventually(lambda: answers_with(api, 200))
