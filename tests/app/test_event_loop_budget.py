"""No request under 1 MB occupies the event loop for more than 50 ms at a time, whatever it contains."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import thread_time
from typing import Any
from uuid import uuid4

import orjson
import pytest
from pydantic import SecretStr
from starlette.types import Message

from app.endpoints.endpoint import Endpoint
from app.main import create_app
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from schemas.api.tracking import MAX_METADATA
from tests.app.conftest import ADMIN_KEY
from tests.support.request_headers import request_headers

BUDGET = 0.05
"""Seconds of CPU time of one step of the event loop, on a processor as fast as this:"""
LOOP_SECONDS = 0.035
"""Seconds of CPU time for a million turns of an empty loop."""
MAX_HEAD = 30_000
"""Bytes of a path, a query string or a header; the server rejects a head of more than 32 KiB."""

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

ITEMS = [
    b'{"a":1}',
    b"[]",
    b"1",
    b"1e5",
    b'"\\ud800"',
    b'"\\u00e9"',
    b"9" * 300,
    b'"' + b"x" * 3000 + b'"',
    b'{"a":{"a":[{}]}}',
]
"""JSON values that are repeated in a list."""
STRINGS = [b"x", b"9", b"\\u0000", b"\\\\\\u0000", b"\\ud83d", b"a@", b" ", b"eyJ", b"0.", b"\xd7\x90"]
"""Parts of JSON strings that are repeated in one string."""
ENDS = [b"", b",NaN", b",1}"]
"""Ends of a list: valid, JSON as lenient parsers accept it, and malformed."""
PIECES = [
    b"a&",
    b"a=1&",
    b"&",
    b"=",
    b"%41",
    b"%",
    b"+",
    b"limit=1&",
    b";",
    b"[",
    b"a@",
    b"eyJ",
    b",",
    b"\xff",
    b'"',
    b"W/",
    b"q=1,",
    b"1.1.1.1,",
    b":",
]
"""Parts of query strings, paths and header values that are repeated."""

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body]
EVENT = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4())}


class LongestStep:
    """The longest callback of the event loop since `reset`, in seconds of CPU time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        run = asyncio.Handle._run

        def run_timed(handle: asyncio.Handle) -> None:
            began = thread_time()
            run(handle)
            self.seconds = max(self.seconds, thread_time() - began)

        asyncio.Handle._run = run_timed  # type: ignore[method-assign, assignment]
        # The collections of a process with as many objects as the tests have would be measured as well.
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            asyncio.Handle._run = run  # type: ignore[method-assign]


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[Asgi]:
    app = create_app(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)}))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: dict[str, Any], receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        yield with_state


async def send(
    app: Asgi, method: str, path: str, *, query: bytes = b"", headers: Headers = (), body: bytes = b""
) -> int:
    """Send a request as a task of its own, and return the status of the response."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await asyncio.create_task(app(scope, receive, collect))  # type: ignore[arg-type]
    return statuses[0]


async def longest_step(app: Asgi, method: str, path: str, **request: Any) -> float:
    """Return the longest step of a request, in seconds of the processor that the budget is for.

    One that is too long is repeated, since the first fills caches.
    """
    for _ in range(3):
        longest = LongestStep()
        with longest.measured():
            # The rest of this step is the test's own.
            await asyncio.sleep(0)
            longest.seconds = 0.0
            assert await send(app, method, path, **request) in (*range(200, 500), 503)
        seconds = longest.seconds
        if seconds >= BUDGET:
            seconds /= slowness()
        if seconds < BUDGET:
            break
    return seconds


def slowness() -> float:
    """Return how much longer this processor takes at present than the one that the budget is for; 1 if it is faster."""
    began = thread_time()
    for _ in range(1_000_000):
        pass
    return max(1.0, (thread_time() - began) / LOOP_SECONDS)


def fill(piece: bytes, size: int, separator: bytes = b"") -> bytes:
    return separator.join([piece] * ((size - 4) // len(piece + separator)))


def values(size: int) -> Iterator[bytes]:
    """Yield JSON, and what is nearly JSON, of nearly `size` bytes."""
    for item in ITEMS:
        for end in ENDS:
            yield b"[%b%b]" % (fill(item, size, b","), end)
    for part in STRINGS:
        yield b'"%b"' % fill(part, size)
    yield b"{%b}" % b",".join(b'"%d":0' % number for number in range(size // 12))
    yield fill(b"[", size // 2) + fill(b"]", size // 2)
    yield fill(b"9", size)


def bodies(endpoint: Endpoint) -> Iterator[tuple[str | None, bytes]]:
    """Yield bodies as long as the endpoint accepts, in which one field has the long value, or the body is the value."""
    assert endpoint.body is not None
    valid = {**EVENT, "events": [EVENT]}
    for value in values(endpoint.max_body - 1000):
        yield None, value
        for field in endpoint.body.model_fields:
            others = {name: valid[name] for name in endpoint.body.model_fields if name in valid and name != field}
            yield field, orjson.dumps({**others, field: None})[:-5] + value + b"}"


def one_field_each(endpoint: Endpoint) -> Iterator[bytes]:
    """Yield each value in one field only, the fields by turns."""
    assert endpoint.body is not None
    fields = [None, *endpoint.body.model_fields]
    for index, (field, body) in enumerate(bodies(endpoint)):
        if field == fields[index // len(fields) % len(fields)]:
            yield body


def batches(size: int) -> Iterator[bytes]:
    """Yield batches of as many events as are accepted, each with a long value, or with metadata that are accepted."""
    longest = ((field, value) for value in values(size // 100 - 300) for field in ("metadata", "page_url"))
    accepted = (("metadata", b'{"a":%b}' % value) for value in values(MAX_METADATA - 100))
    for field, value in (*longest, *accepted):
        event = orjson.dumps({**EVENT, field: None})[:-5] + value + b"}"
        yield b'{"events":[%b]}' % b",".join([event] * 100)


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_body_stays_within_budget(app: Asgi, endpoint: Endpoint) -> None:
    await assert_within_budget(app, endpoint, one_field_each(endpoint))


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_every_field_stays_within_budget(app: Asgi, endpoint: Endpoint) -> None:
    await assert_within_budget(app, endpoint, (body for _, body in bodies(endpoint)))


async def assert_within_budget(app: Asgi, endpoint: Endpoint, bodies: Iterable[bytes]) -> None:
    headers = ((b"content-type", b"application/json"), (b"x-admin-key", ADMIN_KEY.encode()))
    for body in bodies:
        seconds = await longest_step(app, endpoint.method, endpoint.path, headers=headers, body=body)
        assert seconds < BUDGET, (body[:200], body[-20:])


async def test_batch_stays_within_budget(app: Asgi) -> None:
    headers = ((b"content-type", b"application/json"),)
    for body in batches(1_000_000):
        seconds = await longest_step(app, "POST", "/api/events/batch", headers=headers, body=body)
        assert seconds < BUDGET, body[:300]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name)
async def test_query_stays_within_budget(app: Asgi, endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{id:int}", "1")
    for piece in PIECES:
        assert await longest_step(app, endpoint.method, path, query=fill(piece, MAX_HEAD)) < BUDGET, piece


@pytest.mark.parametrize("header", request_headers())
async def test_header_stays_within_budget(app: Asgi, header: str) -> None:
    for piece in PIECES:
        for method, path in (("GET", "/api/tags"), ("POST", "/api/events"), ("OPTIONS", "/api/events")):
            headers = ((header.encode(), fill(piece, MAX_HEAD)),)
            assert await longest_step(app, method, path, headers=headers) < BUDGET, (piece, path)


async def test_path_stays_within_budget(app: Asgi) -> None:
    for piece in PIECES:
        path = "/api/" + fill(piece, MAX_HEAD).decode("latin-1")
        assert await longest_step(app, "GET", path) < BUDGET, piece
