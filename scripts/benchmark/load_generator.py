"""The load generator, a process of its own: reads a plan on standard input, writes figures to standard output.

A closed loop (so many clients, each asks again once it has its answer) finds the throughput. An open one sends at a
fixed rate whatever the answers do, and counts each latency from the moment the request was due, so that a stall is
felt by all the requests that it held up.
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
from scripts.benchmark.load_plan import LoadPlan, LoadResult
from scripts.benchmark.raw_request import Call
from scripts.errors import CliError

STEADY_WITHIN = 0.1
WINDOW_SECONDS = 0.5
MAX_WARM_UP_SECONDS = 6.0
REFUSED_SECONDS = 0.05


class Generator:
    def __init__(self, requests: Sequence[Sequence[Call]], plan: LoadPlan) -> None:
        self._requests: Iterator[Sequence[Call]] = itertools.cycle(requests)
        self._expected = plan.expected.encode()
        self._status = plan.status
        self._plan = plan
        self._connections: asyncio.Queue[HttpConnection] = asyncio.Queue()
        self._first = requests[0][0]
        self.latencies: list[float] = []
        self.wrong: list[str] = []
        """What came instead of each right answer."""
        self.bytes = 0
        self.warming = 0

    async def connect(self) -> None:
        for connection in await asyncio.gather(*(self._open() for _ in range(self._plan.concurrency))):
            self._connections.put_nowait(connection)

    async def _open(self) -> HttpConnection:
        return await HttpConnection.open(self._first.host, self._first.port)

    async def ask(self, due: float) -> None:
        connection = await self._connections.get()
        try:
            answers = [await connection.send(call.raw) for call in next(self._requests)]
            wrong = [in_words(answer) for answer in answers if not self._is_right(answer)]
        except OSError as error:
            wrong = [f"the connection broke ({error})"]
            connection = await self._open()
        self._connections.put_nowait(connection)
        if wrong:
            # A fast refusal or an empty list is no speed, and nobody asks again at once.
            self.wrong.append(wrong[0])
            await asyncio.sleep(REFUSED_SECONDS)
        else:
            self.latencies.append(time.perf_counter() - due)
            self.bytes += sum(len(answer.body) for answer in answers)

    def _is_right(self, answer: HttpResponse) -> bool:
        return answer.status == self._status and self._expected in answer.body[:400]

    async def loop(self, seconds: float, requests: int = 0) -> None:
        """An open one or a closed one, as the plan has it."""
        if self._plan.rate:
            await self._open_loop(seconds, self._plan.rate)
        else:
            await self._closed_loop(_moments(seconds, requests))

    async def _closed_loop(self, moments: Iterator[float]) -> None:
        async def client() -> None:
            for moment in moments:
                await self.ask(moment)

        await asyncio.gather(*(client() for _ in range(self._plan.concurrency)))

    async def _open_loop(self, seconds: float, rate: float) -> None:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(math.ceil(seconds * rate)):
                due = start + number / rate
                if (early := due - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                tasks.create_task(self.ask(due))

    async def warm_up(self) -> None:
        """Until two windows in a row go equally fast."""
        rates: list[int] = []
        while len(rates) * WINDOW_SECONDS < MAX_WARM_UP_SECONDS:
            self.latencies.clear()
            await self.loop(WINDOW_SECONDS)
            rates.append(len(self.latencies))
            if len(rates) > 1 and abs(rates[-1] - rates[-2]) <= STEADY_WITHIN * rates[-1]:
                break
        self.latencies.clear()
        self.wrong.clear()
        self.bytes = 0
        self.warming = sum(rates)


def _moments(seconds: float, requests: int) -> Iterator[float]:
    """The time now, again and again while the seconds last, and at least so many times."""
    end = time.perf_counter() + seconds
    for number in itertools.count():
        moment = time.perf_counter()
        if moment >= end and number >= requests:
            return
        yield moment


def in_words(answer: HttpResponse) -> str:
    return f"status {answer.status}, {answer.body[:200].decode(errors='replace')!r}"


def calls(plan: LoadPlan) -> list[list[Call]]:
    return [
        [Call.build(plan.method, plan.url, body.encode(), plan.headers) for body in bodies] for bodies in plan.bodies
    ]


async def run(plan: LoadPlan) -> LoadResult:
    generator = Generator(calls(plan), plan)
    await generator.connect()
    if plan.warm_up:
        await generator.warm_up()
    started = time.perf_counter()
    await generator.loop(plan.seconds, plan.requests)
    sent = len(generator.latencies) + len(generator.wrong) + generator.warming
    return LoadResult.of(generator.latencies, sent, generator.wrong, generator.bytes, time.perf_counter() - started)


def main() -> None:
    plan: dict[str, Any] = json.load(sys.stdin)
    try:
        print(json.dumps(vars(uvloop.run(run(LoadPlan(**plan))))))
    except CliError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
