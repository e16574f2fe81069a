"""Visitors who are on the site at the same time, each with an address of its own."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count
from typing import Any

import orjson

from app.backends.http_client import HttpConnection, HttpResponse
from core.concurrency.tasks import cancel_and_wait
from scripts.benchmark.load.raw_request import RawRequest
from scripts.benchmark.load.visit import Kind, Step, Visit, visit
from scripts.benchmark.load.workload import cumulative_popularity

SUCCESS = (200, 202)
MAX_PASSED_SECONDS = 300.0
"""Longest time for which a visitor has been on the site when the benchmark begins, several visits long."""


@dataclass(frozen=True)
class Sent:
    kind: Kind
    seconds: float
    """Until the response."""
    is_answered: bool
    """Not if it was rejected or failed."""


class Visitors:
    """Visits one after the other, as many at a time as asked for."""

    def __init__(self, url: str, searches: Sequence[Mapping[str, Any]], seed: int) -> None:
        """Visitors search for the nth of the searches in proportion to 1/n."""
        self._url = url
        self._searches = searches
        self._weights = cumulative_popularity(len(searches))
        self._seed = seed
        self._idle: list[HttpConnection] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = count()
        self.sent: list[Sent] = []

    async def resize(self, visitors: int) -> None:
        """Add visitors in the middle of their visits, or remove some, until so many are on the site."""
        leaving, self._tasks = self._tasks[visitors:], self._tasks[:visitors]
        await cancel_and_wait(leaving)
        self._tasks += [asyncio.create_task(self._come()) for _ in range(visitors - len(self._tasks))]

    async def leave(self) -> None:
        """End all visits. Raises: the error that ended a visitor's requests, if one did."""
        ended = [task for task in self._tasks if task.done()]
        await self.resize(0)
        for connection in self._idle:
            connection.abort()
        for task in ended:
            task.result()

    async def _come(self) -> None:
        passed = self._random(next(self._numbers)).uniform(0, MAX_PASSED_SECONDS)
        while True:
            passed = await self._visit(next(self._numbers), passed)

    async def _visit(self, number: int, passed: float) -> float:
        """Visit the site, from `passed` seconds after its beginning on; return how many of them remain at its end."""
        rng = self._random(number)
        steps = visit(rng, self._choose(rng))
        trips: Sequence[int] | None = None
        while (step := _next_step(steps, trips)) is not None:
            wait, passed = max(step.after - passed, 0), max(passed - step.after, 0)
            trips = []
            if not passed:
                await asyncio.sleep(wait)
                trips = _trips(step, await self.send(number, step))
        return passed

    def _random(self, number: int) -> random.Random:
        return random.Random(self._seed * 1_000_003 + number)

    def _choose(self, rng: random.Random) -> Callable[[], Mapping[str, Any]]:
        return lambda: rng.choices(self._searches, cum_weights=self._weights)[0]

    async def send(self, number: int, step: Step) -> HttpResponse:
        """Send a request from the address of the visitor with this number."""
        address = str(IPv4Address("10.0.0.0") + number)
        body = b"" if step.body is None else orjson.dumps(step.body)
        method = "GET" if step.body is None else "POST"
        request = RawRequest.build(method, self._url + step.path, body, {"X-Forwarded-For": address})
        started = time.perf_counter()
        connection = await self._connect(request)
        response = await connection.send(request.raw)
        if connection.is_free:
            self._idle.append(connection)
        self.sent.append(Sent(step.kind, time.perf_counter() - started, response.status in SUCCESS))
        return response

    async def _connect(self, request: RawRequest) -> HttpConnection:
        while self._idle:
            if (connection := self._idle.pop()).is_free:
                return connection
        return await HttpConnection.open(request.host, request.port)


def _next_step(steps: Visit, trips: Sequence[int] | None) -> Step | None:
    """Return the next step of a visit, or None at its end."""
    try:
        return next(steps) if trips is None else steps.send(trips)
    except StopIteration:
        return None


def _trips(step: Step, response: HttpResponse) -> list[int]:
    if step.kind is not Kind.SEARCH or response.status not in SUCCESS:
        return []
    return [trip["id"] for trip in orjson.loads(response.body)["data"]]
