"""The load generator, a process of its own: reads a plan on standard input, writes figures to standard output.

A closed loop (so many clients, each asks again once it has its answer) finds the throughput. An open one sends at a
fixed rate whatever the answers do, and counts each latency from the moment the request was due, so that a stall is
felt by all the requests that it held up.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import uvloop

from scripts.bench.connection import Answer, Call, Connection
from scripts.bench.figures import Plan, Run

STEADY_WITHIN = 0.1
WINDOW_SECONDS = 0.5
MAX_WARM_UP_SECONDS = 6.0
REFUSED_SECONDS = 0.05

Clock = Callable[[], float]


class Generator:
    def __init__(self, requests: Sequence[Sequence[Call]], plan: Plan) -> None:
        self._requests: Iterator[Sequence[Call]] = itertools.cycle(requests)
        self._expected = plan.expected.encode()
        self._status = plan.status
        self._concurrency = plan.concurrency
        self._connections: asyncio.Queue[Connection] = asyncio.Queue()
        self._first = requests[0][0]
        self.latencies: list[float] = []
        self.errors = 0
        self.bytes = 0
        self.warming = 0

    async def connect(self) -> None:
        for connection in await asyncio.gather(*(Connection.open(self._first) for _ in range(self._concurrency))):
            self._connections.put_nowait(connection)

    async def ask(self, due: float) -> None:
        connection = await self._connections.get()
        try:
            answers = [await connection.send(call) for call in next(self._requests)]
        except OSError:
            answers = []
            connection = await Connection.open(self._first)
        self._connections.put_nowait(connection)
        if answers and all(map(self._is_right, answers)):
            self.latencies.append(time.perf_counter() - due)
            self.bytes += sum(len(answer.body) for answer in answers)
        else:
            # A fast refusal or an empty list is no speed, and nobody asks again at once.
            self.errors += 1
            await asyncio.sleep(REFUSED_SECONDS)

    def _is_right(self, answer: Answer) -> bool:
        return answer.status == self._status and self._expected in answer.body[:400]

    async def closed_loop(self, seconds: float) -> None:
        end = time.perf_counter() + seconds

        async def client() -> None:
            while (now := time.perf_counter()) < end:
                await self.ask(now)

        await asyncio.gather(*(client() for _ in range(self._concurrency)))

    async def open_loop(self, seconds: float, rate: float) -> None:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds * rate)):
                due = start + number / rate
                if (early := due - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                tasks.create_task(self.ask(due))

    async def warm_up(self) -> None:
        """Until two windows in a row go equally fast."""
        rates: list[int] = []
        while len(rates) * WINDOW_SECONDS < MAX_WARM_UP_SECONDS:
            self.latencies.clear()
            await self.closed_loop(WINDOW_SECONDS)
            rates.append(len(self.latencies))
            if len(rates) > 1 and abs(rates[-1] - rates[-2]) <= STEADY_WITHIN * rates[-1]:
                break
        self.latencies.clear()
        self.errors = self.bytes = 0
        self.warming = sum(rates)


async def run(plan: Plan) -> Run:
    requests = [
        [Call.build(plan.method, plan.url, body.encode(), plan.headers) for body in bodies] for bodies in plan.bodies
    ]
    generator = Generator(requests, plan)
    await generator.connect()
    if plan.warm_up:
        await generator.warm_up()
    loop: Awaitable[None] = (
        generator.open_loop(plan.seconds, plan.rate) if plan.rate else generator.closed_loop(plan.seconds)
    )
    started = time.perf_counter()
    await loop
    sent = len(generator.latencies) + generator.errors + generator.warming
    return Run.of(generator.latencies, sent, generator.errors, generator.bytes, time.perf_counter() - started)


def main() -> None:
    plan: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps(vars(uvloop.run(run(Plan(**plan))))))


if __name__ == "__main__":
    main()
