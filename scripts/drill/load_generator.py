"""Generate load at a constant rate, whatever becomes of the responses (open loop)."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
import orjson

from scripts.benchmark.load.open_loop import due_times

T = TypeVar("T")

TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True)
class Request:
    kind: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    status: int
    """0 if the connection failed."""
    due: float
    """When the request was due, on the monotonic clock."""
    seconds: float
    """Time from `due` to the end of the response."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    """The response body, or the error of a connection that failed."""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def degraded(self) -> bool:
        return "Warning" in self.headers

    @property
    def summary(self) -> str:
        """Kind, status and the error code of the body, if it is one of the contract."""
        try:
            code = orjson.loads(self.body)["code"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            code = self.body[:80].decode(errors="replace")
        return f"{self.kind} {self.status} {code}"

    @property
    def rejected(self) -> bool:
        """Whether it is a 503 as the contract describes it: an error body, and a time after which to retry."""
        if self.status != 503 or int(self.headers["Retry-After"]) <= 0:
            return False
        error = orjson.loads(self.body)
        return error["success"] is False and bool(error["error"] and error["request_id"])


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes that are neither a success nor a proper rejection."""
    return [outcome for outcome in outcomes if not (outcome.succeeded or outcome.rejected)]


def percentile(outcomes: Sequence[Outcome], share: float) -> float:
    """Return the latency, in seconds, that this share of the outcomes does not exceed."""
    ordered = sorted(outcome.seconds for outcome in outcomes)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def mixed_requests(searches: Sequence[Mapping[str, Any]]) -> Iterator[Request]:
    """Yield requests as visitors make them, without end: mostly searches, no two alike."""
    for search in itertools.cycle(searches):
        yield Request("search", "POST", "/api/v2/recommendations", search)
        yield Request("resource", "GET", "/api/countries")
        yield Request("search", "POST", "/api/v2/recommendations", {**search, "budget": search["budget"] + 7})
        yield Request("event", "POST", "/api/events", visitor(event_type="page_view"))
        yield Request("search", "POST", "/api/v2/recommendations", {**search, "budget": search["budget"] + 11})
        yield Request("session", "POST", "/api/session/start", visitor())


def visitor(**fields: Any) -> dict[str, Any]:
    """Return a tracking body of a new visitor."""
    return {"session_id": str(uuid4()), "anonymous_id": str(uuid4()), **fields}


async def send_at_rate(
    send: Callable[[T, float], Coroutine[Any, Any, Outcome]], requests: Iterable[T], rate: float
) -> list[Outcome]:
    """Call `send(request, due)` `rate` times a second until there are no more requests, without awaiting responses."""
    chosen = list(requests)
    times = due_times(rate, len(chosen), time.monotonic)
    tasks = [asyncio.create_task(send(request, await anext(times))) for request in chosen]
    return await asyncio.gather(*tasks)


class LoadClient:
    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def run(self, requests: Iterator[Request], *, rate: float, seconds: float) -> list[Outcome]:
        return await send_at_rate(self.send, itertools.islice(requests, int(rate * seconds)), rate)

    async def send(self, request: Request, due: float | None = None) -> Outcome:
        due = due or time.monotonic()
        try:
            async with self._client.request(request.method, request.path, json=request.body) as response:
                body = await response.read()
                return Outcome(request.kind, response.status, due, time.monotonic() - due, response.headers, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Outcome(request.kind, 0, due, time.monotonic() - due, body=repr(error).encode())


@asynccontextmanager
async def load_client(
    url: str, *, tls: SSLContext | None = None, reuse: bool = True, **headers: str
) -> AsyncIterator[LoadClient]:
    """Open a client of the API at `url` that may use any number of connections; `reuse` is for several requests."""
    connector = aiohttp.TCPConnector(limit=0, ssl=tls or True, force_close=not reuse)
    async with aiohttp.ClientSession(url, connector=connector, timeout=TIMEOUT, headers=headers) as client:
        yield LoadClient(client)
