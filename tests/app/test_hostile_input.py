"""Any input gets a success or a 4xx in the one error shape: never a 5xx, a stack trace or a hang."""

import json
from collections.abc import AsyncIterator, Iterable
from uuid import uuid4

import httpx2
import pytest

from app.endpoints.endpoint import Endpoint
from app.http.requests import MAX_BODY
from app.routes import ENDPOINTS
from schemas.api.errors import ErrorResponse
from schemas.api.tracking import TrackedEvent
from tests.app.conftest import ADMIN_KEY
from tests.support.raw_http import connect_raw

JSON = {"Content-Type": "application/json"}
HUGE = "9" * 400


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


GET_ENDPOINTS = [endpoint for endpoint in ENDPOINTS if endpoint.method == "GET"]
WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body]
WITH_QUERY = [endpoint for endpoint in ENDPOINTS if endpoint.query]
WITH_ID = [endpoint for endpoint in ENDPOINTS if "{id:int}" in endpoint.path]
ALL = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name)


@pytest.fixture(scope="module")
async def api(address: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=address, headers={"X-Admin-Key": ADMIN_KEY}, timeout=20) as client:
        yield client


def path_of(endpoint: Endpoint, number: str = "1") -> str:
    return endpoint.path.replace("{id:int}", number)


def assert_rejected(response: httpx2.Response, *statuses: int) -> None:
    assert response.status_code in statuses, response.text[:500]
    failure = ErrorResponse.model_validate(response.json())
    assert failure.request_id == response.headers["X-Request-ID"]
    assert not any(word in response.text for word in ("Traceback", "asyncpg", "sqlalchemy", "SELECT", "127.0.0.1"))


def assert_success_or_rejected(response: httpx2.Response) -> None:
    if response.status_code >= 300:
        assert_rejected(response, 400, 404)


BROKEN_BODIES = {
    "not json": b"{",
    "two values": b"{} {}",
    "a number": b"5",
    "a text": b'"text"',
    "a list": b"[]",
    "null": b"null",
    "not a number": b"NaN",
    "infinity": b'{"budget": Infinity}{',
    "not utf-8": b'{"email": "\xff\xfe"}',
    "an overlong encoding": b'{"email": "\xc0\x80"}',
    "a lone surrogate": rb'"\ud800"',
    "a control character": b'{"email": "\x00"}',
    "a deep list": b"[" * 30_000,
    "a deep object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "utf-16": '{"a": 1}'.encode("utf-16"),
}


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
async def test_body_other_than_json_object_is_rejected(
    api: httpx2.AsyncClient, endpoint: Endpoint, body: bytes
) -> None:
    response = await api.request(endpoint.method, path_of(endpoint), content=body, headers=JSON)
    assert_rejected(response, 400)


VALUES: list[object] = [
    None,
    True,
    0,
    -1,
    5.5,
    2**31,
    2**63,
    -(10**30),
    1e308,
    "",
    "\0",
    "a\0b",
    "\u202e\u0000\ufffe",
    "5\0",
    "x" * 20_000,
    HUGE,
    "NaN",
    "'; DROP TABLE users; --",
    "../../etc/passwd",
    "{{7*7}} ${7*7} %s %n",
    [],
    [[[[]]]],
    [None, True, {}],
    list(range(2000)),
    {},
    {"$gt": ""},
    {"a": {"b": {"c": ["\0"]}}},
]


EVENT = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4())}
VALID = {**EVENT, "events": [EVENT]}
"""Valid for every endpoint, since unknown fields are ignored."""


def fields_of(endpoint: Endpoint) -> Iterable[str]:
    assert endpoint.body
    return endpoint.body.model_fields


async def send(api: httpx2.AsyncClient, endpoint: Endpoint, body: str | bytes) -> httpx2.Response:
    return await api.request(endpoint.method, path_of(endpoint), content=body, headers=JSON)


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_any_value_is_accepted_or_rejected(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    for field in fields_of(endpoint):
        for value in VALUES:
            assert_success_or_rejected(await send(api, endpoint, json.dumps({**VALID, field: value})))


@pytest.mark.parametrize("number", [f"1{'0' * 400}", "1e999", "-1e999", "0.1e-999", "-0"])
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_extreme_numbers_are_accepted_or_rejected(
    api: httpx2.AsyncClient, endpoint: Endpoint, number: str
) -> None:
    for field in fields_of(endpoint):
        body = json.dumps({**VALID, field: "here"}).replace('"here"', number)
        assert_success_or_rejected(await send(api, endpoint, body))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
async def test_any_event_of_batch_is_stored_or_named(api: httpx2.AsyncClient, value: object) -> None:
    events = [EVENT, *({**EVENT, field: value} for field in TrackedEvent.model_fields), value]
    response = await api.post("/api/events/batch", content=json.dumps({"events": events}), headers=JSON)
    assert response.status_code == 202
    body = response.json()
    assert body["processed"] + len(body["errors"] or ()) == body["total"] == len(events)
    assert 0 not in [error["index"] for error in body["errors"] or ()]


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_thousand_invalid_values_make_short_response(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    for field in fields_of(endpoint):
        response = await send(api, endpoint, json.dumps({**VALID, field: ["wrong", {"x": 1}] * 2000}))
        assert response.status_code < 500
        assert len(response.content) < 20_000


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/jsonp",
        "*/*",
    ],
)
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_other_media_type_is_rejected(api: httpx2.AsyncClient, endpoint: Endpoint, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    assert_rejected(await api.request(endpoint.method, path_of(endpoint), content=b"{}", headers=headers), 415)


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/ld+json"])
async def test_json_media_types_are_accepted(api: httpx2.AsyncClient, media_type: str) -> None:
    response = await api.post("/api/v2/recommendations", content=b"{}", headers={"Content-Type": media_type})
    assert response.status_code == 200


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    """Yield a body that is sent chunked, without a Content-Length."""
    for _ in range(size // 1024):
        yield b" " * 1024


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_body_over_limit_is_rejected(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    method, path, limit = endpoint.method, path_of(endpoint), endpoint.max_body
    assert_rejected(await api.request(method, path, content=b" " * (limit + 1), headers=JSON), 413)
    assert_rejected(await api.request(method, path, content=in_pieces(limit + 1024), headers=JSON), 413)


@pytest.mark.parametrize("length", ["{over}", "9" * 19, "9" * 400, "0" * 30 + "{over}"])
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_client_is_not_asked_for_a_body_over_the_limit(address: str, endpoint: Endpoint, length: str) -> None:
    fields = {
        "Host": "x",
        "X-Admin-Key": ADMIN_KEY,
        **JSON,
        "Expect": "100-continue",
        "Content-Length": length.format(over=endpoint.max_body + 1),
    }
    head = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
    async with connect_raw(address) as connection:
        await connection.send(f"{endpoint.method} {path_of(endpoint)} HTTP/1.1\r\n{head}\r\n".encode())
        response = await connection.response_head()
    # The server itself refuses a length of hundreds of digits.
    assert response.split()[1] in {b"413", b"400"}


async def test_body_up_to_limit_is_accepted(api: httpx2.AsyncClient) -> None:
    for content in (b" " * MAX_BODY, in_pieces(MAX_BODY)):
        assert (await api.post("/api/v2/recommendations", content=content, headers=JSON)).status_code == 200


@pytest.mark.parametrize("endpoint", GET_ENDPOINTS, ids=name)
async def test_body_of_get_is_ignored(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    response = await api.request("GET", path_of(endpoint), content=b"x" * (MAX_BODY * 2))
    assert response.status_code < 500
    assert response.status_code not in (400, 413, 415)


@pytest.mark.parametrize("endpoint", WITH_QUERY, ids=name)
@pytest.mark.parametrize(
    "value",
    [
        "%00",
        "a%00b",
        "%ff%fe",
        "%ed%a0%80",
        HUGE,
        f"-{HUGE}",
        "1e999",
        "NaN",
        "%F0%9F%A6%84",
        "'%3B--",
        "%",
        "%zz",
        "[]",
        "5%00",
    ],
)
async def test_any_parameter_is_accepted_or_rejected(api: httpx2.AsyncClient, endpoint: Endpoint, value: str) -> None:
    assert endpoint.query
    for parameter in endpoint.query.model_fields:
        response = await api.get(f"{path_of(endpoint)}?{parameter}={value}")
        assert_success_or_rejected(response)


@pytest.mark.parametrize("endpoint", GET_ENDPOINTS, ids=name)
async def test_unknown_parameters_are_ignored(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    plain = await api.get(path_of(endpoint))
    with_more = await api.get(f"{path_of(endpoint)}?no_such={'x' * 2000}&a[]=1&&=&%00=%00")
    assert with_more.status_code == plain.status_code


@pytest.mark.parametrize("endpoint", WITH_ID, ids=name)
@pytest.mark.parametrize(
    "number", ["0", str(2**31), str(2**63), HUGE, "00000000000000000000001x", "-1", "1.0", "%00", "١"]
)
async def test_impossible_id_is_not_found(api: httpx2.AsyncClient, endpoint: Endpoint, number: str) -> None:
    assert_rejected(await api.request(endpoint.method, path_of(endpoint, number)), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/countries/",
        "/api/countries/1/more",
        "//api/countries",
        "/api//countries",
        "/API/countries",
        "/api/%2e%2e/metrics",
        "/api/countries;x=1",
        "/api/countries%00",
        "/docs/../metrics%00",
        "/%ff",
        f"/api/{'x' * 8000}",
    ],
)
async def test_unknown_path_is_not_found(api: httpx2.AsyncClient, path: str) -> None:
    response = await api.get(path)
    assert_rejected(response, 404)
    assert response.json()["error"] == "Endpoint not found"


@ALL
async def test_wrong_method_lists_allowed_ones(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    path = path_of(endpoint)
    right = {other.method for other in ENDPOINTS if other.path == endpoint.path}
    if "GET" in right:
        right.add("HEAD")
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - right:
        response = await api.request(method, path)
        assert response.status_code == 405
        assert {allowed.strip() for allowed in response.headers["Allow"].split(",")} == right
        if method != "HEAD":
            assert_rejected(response, 405)


@pytest.mark.parametrize("endpoint", GET_ENDPOINTS, ids=name)
async def test_head_equals_get_without_body(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    got = await api.get(path_of(endpoint))
    head = await api.head(path_of(endpoint))
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers.get("ETag") == got.headers.get("ETag")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Request-ID", "short"),
        ("X-Request-ID", "x" * 65),
        ("X-Request-ID", "line\tbreak-and-more"),
        ("X-Request-ID", "<script>alert(1)</script>"),
    ],
)
async def test_invalid_request_id_is_not_echoed(api: httpx2.AsyncClient, header: str, value: str) -> None:
    response = await api.get("/api/nothing", headers={header: value})
    assert response.headers["X-Request-ID"] != value
    assert value not in response.text


async def test_valid_request_id_is_echoed(api: httpx2.AsyncClient) -> None:
    response = await api.get("/api/nothing", headers={"X-Request-ID": "a-plain_one.42"})
    assert response.headers["X-Request-ID"] == response.json()["request_id"] == "a-plain_one.42"
