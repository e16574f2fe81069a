from collections.abc import AsyncIterator

import httpx2
import pytest

from core.settings import Settings, SettingsError, load_settings
from tests.support.api.serving import serving

LISTED = "https://www.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    changed = {"allowed_origins": [LISTED, "http://localhost:3000"], "rate_limit_default": "0/hour"}
    async with serving(settings.model_copy(update=changed)) as client:
        yield client


def cors_headers(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [LISTED, "http://localhost:3000"])
@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch", "/api/v2/recommendations"])
async def test_a_beacon_with_json_may_be_sent_from_a_listed_origin(
    api: httpx2.AsyncClient, origin: str, path: str
) -> None:
    """`navigator.sendBeacon` sends credentials: the origin must be named, a star won't do."""
    answer = await api.options(path, headers={"Origin": origin, **PREFLIGHT})
    assert answer.status_code == 200
    headers = cors_headers(answer)
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-allow-credentials"] == "true"
    assert {method.strip() for method in headers["access-control-allow-methods"].split(",")} == {
        "GET",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
    }
    allowed = {name.strip().lower() for name in headers["access-control-allow-headers"].split(",")}
    assert {"content-type", "authorization", "x-session-id", "x-request-id"} <= allowed
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://www.example.org.evil.example",
        "http://www.example.org",
        "https://www.example.org:8443",
        "https://WWW.example.org ",
        "https://example.org",
        "null",
        "*",
        "",
    ],
)
async def test_another_origin_gets_no_cors_header_at_all(api: httpx2.AsyncClient, origin: str) -> None:
    for answer in (
        await api.options("/api/events", headers={"Origin": origin, **PREFLIGHT}),
        await api.get("/api/nothing", headers={"Origin": origin}),
    ):
        assert cors_headers(answer) == {}
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"Access-Control-Request-Method": "PATCH"}, "method"),
        ({"Access-Control-Request-Headers": "X-Other"}, "headers"),
    ],
)
async def test_a_preflight_that_is_refused_is_told_in_the_shape_of_all_refusals(
    api: httpx2.AsyncClient, wrong: dict[str, str], named: str
) -> None:
    answer = await api.options("/api/events", headers={"Origin": LISTED, **PREFLIGHT, **wrong})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert named in answer.json()["error"]
    assert cors_headers(answer)["access-control-allow-origin"] == LISTED


async def test_without_an_origin_caches_still_hear_that_it_matters(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/api/nothing")
    assert cors_headers(answer) == {}
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/api/v2/recommendations", b"{", 400),
        ("GET", "/api/nothing", b"", 404),
        ("DELETE", "/api/v2/recommendations", b"", 405),
        ("POST", "/api/v2/recommendations", b"[" * 70_000, 413),
    ],
)
async def test_errors_can_be_read_from_a_listed_origin(
    api: httpx2.AsyncClient, method: str, path: str, content: bytes, status: int
) -> None:
    headers = {"Origin": LISTED, "Content-Type": "application/json"}
    answer = await api.request(method, path, content=content, headers=headers)
    assert answer.status_code == status
    assert_readable(answer)


async def test_a_refusal_for_too_many_requests_can_be_read(settings: Settings) -> None:
    nothing_allowed = settings.model_copy(
        update={"allowed_origins": [LISTED], "rate_limit_enabled": True, "rate_limit_default": "0/hour"}
    )
    async with serving(nothing_allowed) as api:
        answer = await api.get("/api/nothing", headers={"Origin": LISTED})
    assert answer.status_code == 429
    assert_readable(answer)


async def test_an_unexpected_error_can_be_read(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"allowed_origins": [LISTED]}), recommendations=None) as api:
        answer = await api.post("/api/v2/recommendations", json={}, headers={"Origin": LISTED})
    assert answer.status_code == 500
    assert answer.json()["error"] == "Something went wrong on our side. Please try again."
    assert_readable(answer)


def assert_readable(answer: httpx2.Response) -> None:
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]
    assert answer.json()["success"] is False


async def test_outside_of_the_api_nothing_is_shared(api: httpx2.AsyncClient) -> None:
    assert cors_headers(await api.get("/livez", headers={"Origin": LISTED})) == {}


@pytest.mark.parametrize(
    "origins", ["*", "https://*.example.org", "example.org", "https://example.org/path", "https://"]
)
def test_origins_are_named_whole(origins: str) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_ORIGINS"):
        load_settings(allowed_origins=origins)
