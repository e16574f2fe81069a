from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import SecretStr

from app.http.cors import EXPOSED
from app.http.security_headers import HEADERS
from app.routes import ENDPOINTS
from core.configuration.settings import Settings, SettingsError, load_settings
from tests.support.api.serving import serving

ALLOWED = "https://www.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    changed = {"allowed_origins": [ALLOWED, "http://localhost:3000"], "rate_limit_default": "0/hour"}
    async with serving(settings.model_copy(update=changed)) as client:
        yield client


def cors_headers(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [ALLOWED, "http://localhost:3000"])
@pytest.mark.parametrize("path", ["/api/events", "/api/events/batch", "/api/v2/recommendations"])
async def test_preflight_allows_json_beacon_of_allowed_origin(api: httpx2.AsyncClient, origin: str, path: str) -> None:
    """`navigator.sendBeacon` sends credentials: the origin must be named, a star won't do."""
    response = await api.options(path, headers={"Origin": origin, **PREFLIGHT})
    assert response.status_code == 200
    headers = cors_headers(response)
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
    assert "Origin" in response.headers["Vary"]


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
async def test_other_origin_gets_no_cors_headers(api: httpx2.AsyncClient, origin: str) -> None:
    for response in (
        await api.options("/api/events", headers={"Origin": origin, **PREFLIGHT}),
        await api.get("/api/nothing", headers={"Origin": origin}),
    ):
        assert cors_headers(response) == {}
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"Access-Control-Request-Method": "PATCH"}, "method"),
        ({"Access-Control-Request-Headers": "X-Other"}, "headers"),
    ],
)
async def test_disallowed_preflight_is_an_error_response(
    api: httpx2.AsyncClient, wrong: dict[str, str], named: str
) -> None:
    response = await api.options("/api/events", headers={"Origin": ALLOWED, **PREFLIGHT, **wrong})
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
    assert named in response.json()["error"]
    assert cors_headers(response)["access-control-allow-origin"] == ALLOWED


@pytest.mark.parametrize(
    "more",
    [
        ("Access-Control-Request-Private-Network", "true"),
        ("Access-Control-Request-Headers", "content-type, ,"),
        ("Access-Control-Request-Headers", ""),
        ("Access-Control-Request-Headers", "x-other"),
        ("Access-Control-Request-Method", "PATCH"),
        ("Origin", "https://elsewhere.example"),
        ("Origin", ALLOWED),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("is_first", [True, False])
async def test_refused_preflight_is_json(api: httpx2.AsyncClient, more: tuple[str, str], is_first: bool) -> None:
    """Also if a header is there twice."""
    usual = [("Origin", ALLOWED), *PREFLIGHT.items()]
    response = await api.options("/api/events", headers=[more, *usual] if is_first else [*usual, more])
    if response.status_code == 200:
        assert response.text == "OK"
    else:
        assert response.json()["success"] is False
    assert "access-control-allow-private-network" not in response.headers


CLIENT_HEADERS = (
    "Content-Type, Authorization, X-Session-ID, X-Request-ID, traceparent, tracestate, baggage, sentry-trace, "
    "cache-control, pragma, if-none-match, apikey, x-client-info, content-encoding"
)


@pytest.mark.parametrize("names", [CLIENT_HEADERS, *CLIENT_HEADERS.split(", "), CLIENT_HEADERS.upper()])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_headers_of_clients_are_allowed(api: httpx2.AsyncClient, names: str, method: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": names}
    response = await api.options("/api/locations", headers={"Origin": ALLOWED, **asked})
    assert response.status_code == 200, response.text
    allowed = {name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")}
    assert allowed >= set(names.lower().split(", "))


async def test_setting_allows_more_headers(settings: Settings) -> None:
    more = load_settings(
        **{**settings.model_dump(exclude={"allowed_headers"}), "allowed_headers": "X-Trace-Id, x-other"}
    )
    async with serving(more) as api:
        headers = {"Origin": "http://localhost:3000", **PREFLIGHT, "Access-Control-Request-Headers": "x-trace-id"}
        assert (await api.options("/api/events", headers=headers)).status_code == 200


@pytest.mark.parametrize("names", ["*", "X-Two Words", "x:y", "X-Ünicode"])
def test_invalid_header_names_are_rejected(names: str) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_HEADERS"):
        load_settings(allowed_headers=names)


async def test_disallowed_header_is_named(api: httpx2.AsyncClient) -> None:
    asked = {"Access-Control-Request-Headers": "content-type, x-other, x-admin-key"}
    response = await api.options("/api/events", headers={"Origin": ALLOWED, **PREFLIGHT, **asked})
    assert response.status_code == 400
    error = response.json()["error"]
    assert [name in error for name in ("x-other", "x-admin-key", "content-type")] == [True, True, False]


async def test_many_disallowed_headers_make_short_response(api: httpx2.AsyncClient) -> None:
    asked = {"Access-Control-Request-Headers": ",".join(f"x-{number}{'x' * 100}" for number in range(250))}
    response = await api.options("/api/events", headers={"Origin": ALLOWED, **PREFLIGHT, **asked})
    assert response.status_code == 400
    assert len(response.content) < 2000


ALWAYS_READABLE = {"cache-control", "content-language", "content-length", "content-type", "expires", "pragma"}
FOR_BROWSERS = {"vary", "content-encoding", "connection", "date", *(name.decode() for name, _ in HEADERS)}
"""Headers that browsers evaluate themselves, and scripts need not read."""


async def test_scripts_may_read_every_header_of_responses(settings: Settings) -> None:
    changed = {
        "rate_limit_enabled": True,
        "rate_limit_default": "9999/hour",
        "admin_key": SecretStr("the-key"),
        "rate_limit_recommendations": "0/hour",
    }
    names: set[str] = set()
    async with serving(settings.model_copy(update=changed)) as api:
        for endpoint in ENDPOINTS:
            path = endpoint.path.replace("{id:int}", "1")
            for method in (endpoint.method, "PATCH"):
                for content, encoding in ((b"{}", "gzip"), (b"{}", "br"), (b"{", "identity")):
                    sent = {"Origin": ALLOWED, "Content-Encoding": encoding, "Content-Type": "application/json"}
                    response = await api.request(method, path, content=content, headers=sent)
                    if path.startswith("/api/"):
                        names |= {name.lower() for name in response.headers}
    assert {"etag", "retry-after", "ratelimit-policy", "allow", "www-authenticate"} <= names
    readable = ALWAYS_READABLE | {name.lower() for name in EXPOSED}
    assert {name for name in names if not name.startswith("access-control-")} - readable - FOR_BROWSERS == set()


async def test_response_without_origin_varies_by_origin(api: httpx2.AsyncClient) -> None:
    response = await api.get("/api/nothing")
    assert cors_headers(response) == {}
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/api/v2/recommendations", b"{", 400),
        ("GET", "/api/nothing", b"", 404),
        ("DELETE", "/api/v2/recommendations", b"", 405),
        ("POST", "/api/v2/recommendations", b"[" * 70_000, 413),
    ],
)
async def test_errors_have_cors_headers(
    api: httpx2.AsyncClient, method: str, path: str, content: bytes, status: int
) -> None:
    headers = {"Origin": ALLOWED, "Content-Type": "application/json"}
    response = await api.request(method, path, content=content, headers=headers)
    assert response.status_code == status
    assert_readable(response)


async def test_rate_limited_response_has_cors_headers(settings: Settings) -> None:
    nothing_allowed = settings.model_copy(
        update={"allowed_origins": [ALLOWED], "rate_limit_enabled": True, "rate_limit_default": "0/hour"}
    )
    async with serving(nothing_allowed) as api:
        response = await api.get("/api/nothing", headers={"Origin": ALLOWED})
    assert response.status_code == 429
    assert_readable(response)


async def test_internal_error_has_cors_headers(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"allowed_origins": [ALLOWED]}), recommendations=None) as api:
        response = await api.post("/api/v2/recommendations", json={}, headers={"Origin": ALLOWED})
    assert response.status_code == 500
    assert response.json()["error"] == "Something went wrong on our side. Please try again."
    assert_readable(response)


def assert_readable(response: httpx2.Response) -> None:
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in response.headers["Vary"]
    assert response.json()["success"] is False


async def test_paths_outside_api_have_no_cors_headers(api: httpx2.AsyncClient) -> None:
    assert cors_headers(await api.get("/livez", headers={"Origin": ALLOWED})) == {}


@pytest.mark.parametrize(
    "origins", ["*", "https://*.example.org", "example.org", "https://example.org/path", "https://"]
)
def test_incomplete_origins_are_invalid(origins: str) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_ORIGINS"):
        load_settings(allowed_origins=origins)
