"""Load generator, run as a process: reads a LoadPlan as JSON from stdin, writes a LoadResult as JSON to stdout.

A closed loop (each client sends its next request after its response) measures throughput. An open loop sends at a fixed
rate whatever the responses do, and measures each latency from the time the request was due: a stall counts for every
request that it delays (no coordinated omission).
"""

import asyncio
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import uvloop

from app.backends.http_client import HttpConnection, HttpResponse
from core.concurrency.tasks import task_group
from scripts.benchmark.load.open_loop import due_times
from scripts.benchmark.load.plan import LoadPlan, LoadResult
from scripts.benchmark.load.raw_request import RawRequest
from scripts.errors import CliError

STEADY_WITHIN = 0.1
"""Relative difference of two windows at which the warm-up ends."""
WINDOW_SECONDS = 0.5
MAX_WARM_UP_SECONDS = 6.0
ERROR_PAUSE = 0.05
"""Seconds that a client pauses after a wrong response."""


class Generator:
    def __init__(self, requests: Sequence[Sequence[RawRequest]], plan: LoadPlan) -> None:
        self._requests: Iterator[Sequence[RawRequest]] = itertools.cycle(requests)
        for _ in range(plan.skip % len(requests)):
            next(self._requests)
        self._expected = plan.expected.encode()
        self._statuses = plan.statuses
        self._plan = plan
        self._connections: asyncio.Queue[HttpConnection] = asyncio.Queue()
        self._first = requests[0][0]
        self.latencies: list[float] = []
        self.wrong: list[str] = []
        """Descriptions of the wrong responses."""
        self.bytes = 0
        self.warm_up_requests = 0

    async def connect(self) -> None:
        for connection in await asyncio.gather(*(self._open() for _ in range(self._plan.concurrency))):
            self._connections.put_nowait(connection)

    async def _open(self) -> HttpConnection:
        return await HttpConnection.open(self._first.host, self._first.port)

    async def send(self, due: float) -> None:
        """Send the next request on a free connection; `due` is the time its latency counts from."""
        connection = await self._connections.get()
        try:
            responses = [await connection.send(request.raw) for request in next(self._requests)]
            wrong = [describe(response) for response in responses if not self._is_correct(response)]
        except OSError as error:
            wrong = [f"the connection broke ({error})"]
            connection = await self._open()
        self._connections.put_nowait(connection)
        if wrong:
            # Fast errors must not count as throughput, and real clients do not retry at once.
            self.wrong.append(wrong[0])
            await asyncio.sleep(ERROR_PAUSE)
        else:
            self.latencies.append(time.perf_counter() - due)
            self.bytes += sum(len(response.body) for response in responses)

    def _is_correct(self, response: HttpResponse) -> bool:
        return response.status in self._statuses and self._expected in response.body[:400]

    async def run(self, seconds: float, requests: int = 0) -> None:
        """Run an open loop if the plan has a rate, otherwise a closed loop."""
        if self._plan.rate:
            await self._open_loop(seconds, self._plan.rate)
        else:
            await self._closed_loop(_send_times(seconds, requests))

    async def _closed_loop(self, times: Iterator[float]) -> None:
        async def client() -> None:
            for sent_at in times:
                await self.send(sent_at)

        await asyncio.gather(*(client() for _ in range(self._plan.concurrency)))

    async def _open_loop(self, seconds: float, rate: float) -> None:
        async with task_group() as tasks:
            async for due in due_times(rate, math.ceil(seconds * rate)):
                tasks.create_task(self.send(due))

    async def warm_up(self) -> None:
        """Send until two windows in a row are equally fast, then reset the counters."""
        rates: list[int] = []
        while len(rates) * WINDOW_SECONDS < MAX_WARM_UP_SECONDS:
            self.latencies.clear()
            await self.run(WINDOW_SECONDS)
            rates.append(len(self.latencies))
            if len(rates) > 1 and abs(rates[-1] - rates[-2]) <= STEADY_WITHIN * rates[-1]:
                break
        self.latencies.clear()
        self.wrong.clear()
        self.bytes = 0
        self.warm_up_requests = sum(rates)


def _send_times(seconds: float, requests: int) -> Iterator[float]:
    """Yield the current time until `seconds` have passed and `requests` times were yielded."""
    end = time.perf_counter() + seconds
    for number in itertools.count():
        now = time.perf_counter()
        if now >= end and number >= requests:
            return
        yield now


def describe(response: HttpResponse) -> str:
    return f"status {response.status}, {response.body[:200].decode(errors='replace')!r}"


def build_requests(plan: LoadPlan) -> list[list[RawRequest]]:
    number = max(len(plan.paths), len(plan.bodies))
    targets = itertools.islice(zip(itertools.cycle(plan.paths), itertools.cycle(plan.bodies), strict=False), number)
    return [
        [RawRequest.build("POST" if body else "GET", plan.url + path, body.encode(), plan.headers) for body in bodies]
        for path, bodies in targets
    ]


async def run(plan: LoadPlan) -> LoadResult:
    generator = Generator(build_requests(plan), plan)
    await generator.connect()
    if plan.warm_up:
        await generator.warm_up()
    started = time.perf_counter()
    await generator.run(plan.seconds, plan.requests)
    sent = len(generator.latencies) + len(generator.wrong) + generator.warm_up_requests
    return LoadResult.from_latencies(
        generator.latencies, sent, generator.wrong, generator.bytes, time.perf_counter() - started
    )


def main() -> None:
    plan: dict[str, Any] = json.load(sys.stdin)
    try:
        print(json.dumps(vars(uvloop.run(run(LoadPlan(**plan))))))
    except CliError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
