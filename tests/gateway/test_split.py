"""The gateway before processes of one role each: every path, HTTP/2, request ids, bounds, and its own errors."""

import asyncio

import httpx2
import pytest

from app.http.requests import MAX_BODY
from app.routes import ENDPOINTS
from app.server.framing import MAX_HEAD
from tests.gateway.conftest import ORIGIN, SplitSystem
from tests.support.gateway import TLS, needs_nginx

pytestmark = [needs_nginx, pytest.mark.slow]

BATCH = "/api/events/batch"
SEARCH = "/api/v2/recommendations"


def assert_error(response: httpx2.Response, status: int, code: str, *, origin: str | None = ORIGIN) -> None:
    """Assert that the response is an error as the contract describes it, and carries CORS headers for the origin.

    The origin of a head that cannot be read is not known, to the API neither.
    """
    body = response.json()
    assert (response.status_code, body["success"], body["code"]) == (status, False, code)
    assert body["error"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert response.headers.get("access-control-allow-origin") == origin
    assert response.headers.get("access-control-allow-credentials") == ("true" if origin else None)
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["content-type"] == "application/json"


async def test_every_path_reaches_a_process_that_serves_it(split: SplitSystem) -> None:
    async with split.gateway.client() as client:
        for endpoint in ENDPOINTS:
            # No endpoint has this method: 405 where the process has the path.
            response = await client.request("PATCH", endpoint.path.replace("{id:int}", "1"))
            assert response.status_code == 405, endpoint.path


async def test_requests_of_all_roles_are_served(split: SplitSystem) -> None:
    async with split.gateway.client() as client:
        assert (await client.post(SEARCH, json={})).json()["success"] is True
        for path in ("/api/tags", "/api/v2/occurrences", "/api/events/types", "/api/health", "/livez"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.get("/api/admin/index")).status_code == 401


async def test_clients_may_speak_http_2(split: SplitSystem) -> None:
    async with split.gateway.client(http2=True) as client:
        responses = await asyncio.gather(*(client.post(SEARCH, json={"budget": 1000 + n}) for n in range(20)))
    assert {(response.http_version, response.status_code) for response in responses} == {("HTTP/2", 200)}


async def test_plain_http_is_redirected(split: SplitSystem) -> None:
    configuration = split.gateway.configuration
    async with httpx2.AsyncClient(verify=TLS) as client:
        response = await client.get(
            f"http://127.0.0.1:{configuration.plain_port}/api/health?a=1", headers={"Host": "evil.example"}
        )
    assert response.status_code == 308
    assert response.headers["location"] == f"{split.gateway.url}/api/health?a=1"


async def test_request_has_one_id_everywhere(split: SplitSystem) -> None:
    async with split.gateway.client() as client:
        given = await client.get("/livez", headers={"X-Request-ID": "my-own-request"})
        assert given.headers.get_list("x-request-id") == ["my-own-request"]
        made = await client.get("/livez", headers={"X-Request-ID": "no id!"})
        assert len(made.headers["x-request-id"]) == 32


@pytest.mark.parametrize(("path", "limit"), [(SEARCH, MAX_BODY), (BATCH, 1024 * 1024)])
async def test_bodies_have_the_bounds_of_the_api(split: SplitSystem, path: str, limit: int) -> None:
    async def chunks() -> object:
        for _ in range(limit // 1024 + 1):
            yield b" " * 1024

    async with split.gateway.client(headers={"Origin": ORIGIN, "Content-Type": "application/json"}) as client:
        assert (await client.post(path, content=b"{}".ljust(limit))).status_code in (200, 400)
        for content in (b"{}".ljust(limit + 1), chunks()):
            response = await client.post(path, content=content)  # type: ignore[arg-type]
            assert_error(response, 413, "too_large")
            assert f" {limit // 1024} KiB" in response.json()["error"]


async def test_heads_have_the_bound_of_the_api(split: SplitSystem) -> None:
    async with split.gateway.client(headers={"Origin": ORIGIN}) as client:
        assert (await client.get(f"/livez?{'a' * (MAX_HEAD - 1024)}")).status_code == 200
        assert_error(await client.get(f"/livez?{'a' * MAX_HEAD}"), 400, "bad_request", origin=None)
        assert_error(await client.get("/livez", headers={"X-A": "a" * MAX_HEAD}), 400, "bad_request")


async def test_malformed_request_gets_an_error_of_the_contract(split: SplitSystem) -> None:
    async with split.gateway.client(headers={"Origin": ORIGIN}) as client:
        assert_error(await client.get("/livez", headers={"Host": "a b"}), 400, "bad_request", origin=None)
