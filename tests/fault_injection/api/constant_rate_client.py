"""Requests at a constant rate, whatever becomes of the answers."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

PATIENCE = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True)
class Call:
    kind: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    kind: str
    status: int
    """0 if the connection failed."""
    due: float
    """On the monotonic clock."""
    seconds: float
    """From when the request was due."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def answered(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return self.status == 503 and is_refusal(int(self.headers["Retry-After"]), self.body)


def is_refusal(retry_after: int, body: Any) -> bool:
    """As the contract has it: in the shape of errors, with a time to come back."""
    return retry_after > 0 and body["success"] is False and bool(body["error"] and body["request_id"])


def calls(searches: Sequence[Mapping[str, Any]]) -> Iterator[Call]:
    """What visitors do, for ever: mostly searching, each search of its own."""
    for search in itertools.cycle(searches):
        yield Call("search", "POST", "/api/v2/recommendations", search)
        yield Call("resource", "GET", "/api/countries")
        yield Call("search", "POST", "/api/v2/recommendations", {**search, "budget": search["budget"] + 7})
        yield Call("event", "POST", "/api/events", visit(event_type="page_view"))
        yield Call("search", "POST", "/api/v2/recommendations", {**search, "budget": search["budget"] + 11})
        yield Call("session", "POST", "/api/session/start", visit())


def visit(**more: Any) -> dict[str, Any]:
    return {"session_id": str(uuid4()), "anonymous_id": str(uuid4()), **more}


Ask = Callable[[Call, float], Coroutine[Any, Any, Outcome]]


async def come(ask: Ask, calls: Iterator[Call], *, rate: float) -> list[Outcome]:
    """Each call when it is due, until there are no more."""
    start = time.monotonic()
    asking: list[asyncio.Task[Outcome]] = []
    for number, call in enumerate(calls):
        due = start + number / rate
        await asyncio.sleep(due - time.monotonic())
        asking.append(asyncio.create_task(ask(call, due)))
    return await asyncio.gather(*asking)


class Visitors:
    """`async with visitors(url) as crowd: await crowd.come(calls, rate=30, seconds=2)`."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def come(self, calls: Iterator[Call], *, rate: float, seconds: float) -> list[Outcome]:
        return await come(self.ask, itertools.islice(calls, int(rate * seconds)), rate=rate)

    async def ask(self, call: Call, due: float | None = None) -> Outcome:
        due = due or time.monotonic()
        try:
            async with self._client.request(call.method, call.path, json=call.body) as answer:
                body = orjson.loads(await answer.read())
                return Outcome(call.kind, answer.status, due, time.monotonic() - due, answer.headers, body)
        except aiohttp.ClientError as error:
            return Outcome(call.kind, 0, due, time.monotonic() - due, body=repr(error))


@asynccontextmanager
async def visitors(url: str) -> AsyncIterator[Visitors]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, timeout=PATIENCE) as client:
        yield Visitors(client)


def percentile(outcomes: Sequence[Outcome], share: float) -> float:
    """Seconds within which that share was answered."""
    ordered = sorted(outcome.seconds for outcome in outcomes)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
