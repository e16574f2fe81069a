"""Every endpoint gives its errors in the language of the request."""

import re
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.backends.labels import DATABASE_LABEL
from app.endpoints.endpoint import Endpoint
from app.http.errors import ApiError, Thing, not_found, overloaded, request_timeout, timed_out, unavailable
from app.http.requests import MAX_BATCH_BODY
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from core.errors import ConflictError
from schemas.messages.message import Message
from tests.app.conftest import ADMIN_KEY
from tests.app.middleware.test_rate_limiting import RETRIED_WORDS
from tests.app.test_hostile_input import name, path_of
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, token

HEBREW = re.compile(r"[א-ת]")
KEY = {"X-Admin-Key": ADMIN_KEY}
ALL = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name)


@pytest.fixture(scope="module")
async def api(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    update = {"admin_key": SecretStr(ADMIN_KEY), "supabase_jwt_secret": SecretStr(SECRET)}
    async with serving(settings.model_copy(update=update)) as client:
        yield client


async def assert_both_languages(api: httpx2.AsyncClient, status: int, method: str, path: str, **request: Any) -> None:
    headers = request.pop("headers", {})
    bodies = {}
    for language in ("en", "he"):
        response = await api.request(method, path, headers={**headers, "Accept-Language": language}, **request)
        assert response.status_code == status, response.text
        assert response.headers["content-language"] == language
        assert "Accept-Language" in response.headers["vary"]
        assert "public" not in response.headers.get("cache-control", "")
        bodies[language] = response.json()
    english, hebrew = bodies["en"], bodies["he"]
    assert HEBREW.search(hebrew["error"])
    assert not HEBREW.search(english["error"])
    assert (english.keys(), english["code"]) == (hebrew.keys(), hebrew["code"])
    fields = [[detail["field"] for detail in body.get("details", [])] for body in (english, hebrew)]
    assert fields[0] == fields[1]


def requests(endpoint: Endpoint) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield requests that this endpoint rejects, with the status."""
    if endpoint.body:
        yield 400, {"content": b"{", "headers": {"Content-Type": "application/json"}}
        yield 400, {"json": [1]}
        yield 413, {"content": b" " * (MAX_BATCH_BODY + 1), "headers": {"Content-Type": "application/json"}}
        yield 415, {"content": b"x=1", "headers": {"Content-Type": "text/plain"}}
        yield 415, {"content": b"{}", "headers": {"Content-Type": "application/json", "Content-Encoding": "br"}}
    if endpoint.query and "limit" in endpoint.query.model_fields:
        yield 400, {"params": {"limit": "x"}}
    if endpoint.query and "days" in endpoint.query.model_fields:
        yield 400, {"params": {"days": "0"}}


@ALL
async def test_rejected_request_reads_in_both_languages(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    for status, request in requests(endpoint):
        headers = {**KEY, **request.pop("headers", {})}
        await assert_both_languages(api, status, endpoint.method, path_of(endpoint), headers=headers, **request)


@ALL
async def test_wrong_method_id_and_path_read_in_both_languages(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    await assert_both_languages(api, 405, "PATCH", path_of(endpoint))
    await assert_both_languages(api, 404, endpoint.method, f"{path_of(endpoint)}/no/such/path")
    if "{id:int}" in endpoint.path and endpoint.query is None:
        await assert_both_languages(api, 404, endpoint.method, path_of(endpoint, "0"), headers=KEY)


@pytest.mark.parametrize("endpoint", [endpoint for endpoint in ENDPOINTS if endpoint.admin], ids=name)
async def test_refused_administrator_reads_in_both_languages(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    await assert_both_languages(api, 401, endpoint.method, path_of(endpoint))
    user = {"Authorization": f"Bearer {token(sub=str(uuid4()))}"}
    await assert_both_languages(api, 403, endpoint.method, path_of(endpoint), headers=user)


FAILURES: list[Exception] = [
    *(unavailable(DATABASE_LABEL), overloaded(), timed_out(), request_timeout()),
    *(ConflictError(Message("reindex_running")), RuntimeError("of this test")),
]


@ALL
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: getattr(error, "code", "internal"))
async def test_failure_reads_in_both_languages(
    api: httpx2.AsyncClient, endpoint: Endpoint, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Endpoint, "handle", fail)
    status = error.status if isinstance(error, ApiError) else 409 if isinstance(error, ConflictError) else 500
    # Captured, because the traceback of an unexpected error takes long to render.
    with capture_logs():
        await assert_both_languages(api, status, endpoint.method, path_of(endpoint))


async def test_exceeded_rate_reads_in_both_languages(settings: Settings) -> None:
    limited = {name: "1/day" for name in Settings.model_fields if re.fullmatch("rate_limit_(?!enabled).*", name)}
    update = {**limited, "rate_limit_enabled": True, "trusted_proxies": [ip_network("127.0.0.1")]}
    async with serving(settings.model_copy(update=update)) as api:
        for endpoint in ENDPOINTS:
            if 429 in endpoint.error_statuses:
                number = uuid4().hex
                headers = {"X-Forwarded-For": f"2001:{number[:4]}:{number[4:8]}:{number[8:12]}::1"}
                await api.request(endpoint.method, path_of(endpoint), headers=headers)
                await assert_both_languages(api, 429, endpoint.method, path_of(endpoint), headers=headers)


async def test_rejected_events_of_a_batch_read_in_both_languages(api: httpx2.AsyncClient) -> None:
    for language in ("en", "he"):
        response = await api.post("/api/events/batch", json={"events": [{}]}, headers={"Accept-Language": language})
        assert response.headers["content-language"] == language
        assert "Accept-Language" in response.headers["vary"]
        (error,) = response.json()["errors"]
        assert bool(HEBREW.search(error["error"])) is (language == "he")
        assert "session_id" in error["error"]


async def test_success_does_not_vary_by_language(api: httpx2.AsyncClient) -> None:
    bodies = []
    for language in ("en", "he"):
        response = await api.get("/api/locations", headers={"Accept-Language": language})
        assert (response.status_code, response.headers.get("content-language")) == (200, None)
        assert "Accept-Language" not in response.headers["vary"]
        bodies.append(response.content)
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("language", ["en", "he"])
@pytest.mark.parametrize(
    "error", [unavailable(DATABASE_LABEL), overloaded(), timed_out()], ids=lambda error: error.code
)
def test_web_client_repeats_after_503(error: ApiError, language: Any) -> None:
    assert any(word in error.message.text(language) for word in RETRIED_WORDS)


@pytest.mark.parametrize("thing", ["Company", "Country", "Guide", "Occurrence", "Template"])
@pytest.mark.parametrize("language", ["en", "he"])
def test_web_client_shows_its_page_after_404(thing: Thing, language: Any) -> None:
    message = not_found(thing).message.text(language)
    assert "not found" in message or "404" in message
    assert not any(word in message for word in RETRIED_WORDS)
