"""The load generator, against a server whose answers are known."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle

import pytest

from scripts.benchmark.compare import generate
from scripts.benchmark.load_plan import LoadPlan, LoadResult
from scripts.errors import CliError

RIGHT = (200, "right")
NO_ROOM = (503, "no room")


class Answering:
    """Gives its answers in turn, each after so many seconds."""

    def __init__(self, answers: Sequence[tuple[int, str]], seconds: float, per_connection: int) -> None:
        self._answers: Iterator[tuple[int, str]] = cycle(answers)
        self._seconds = seconds
        self._per_connection = per_connection
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(self._per_connection):
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                status, body = next(self._answers)
                await asyncio.sleep(self._seconds)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def answering(
    *answers: tuple[int, str], seconds: float = 0, per_connection: int = sys.maxsize
) -> AsyncIterator[tuple[Answering, str]]:
    """The server and its URL."""
    answers_in_turn = Answering(answers, seconds, per_connection)
    server = await asyncio.start_server(answers_in_turn.serve, "127.0.0.1", 0)
    try:
        yield answers_in_turn, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def generated(plan: LoadPlan) -> LoadResult:
    return await asyncio.to_thread(generate, plan)


async def test_closed_loop_sends_the_minimum_of_requests() -> None:
    async with answering(RIGHT, seconds=0.01) as (server, url):
        plan = LoadPlan(url=url, method="GET", expected="right", concurrency=8, requests=25, seconds=0, warm_up=False)
        run = await generated(plan)
    assert (run.requests, run.errors, server.asked) == (25, 0, 25)


async def test_open_loop_counts_the_wait_for_a_connection() -> None:
    async with answering(RIGHT, seconds=0.1) as (_, url):
        plan = LoadPlan(url=url, method="GET", expected="right", concurrency=2, seconds=1, warm_up=False)
        run = await generated(replace(plan, rate=40.0))
        closed = await generated(plan)
    assert run.requests == 40
    # Half of what was due found no free connection: the last of it waited for a second more.
    assert run.p95 > 700
    assert closed.p95 < 300


async def test_wrong_responses_are_errors_without_latency() -> None:
    async with answering(RIGHT, NO_ROOM, (200, "empty")) as (_, url):
        run = await generated(LoadPlan(url=url, method="GET", expected="right", requests=9, seconds=0, warm_up=False))
    assert (run.requests, run.errors, run.sent) == (3, 6, 9)


async def test_closed_connections_are_replaced() -> None:
    async with answering(RIGHT, per_connection=2) as (server, url):
        run = await generated(LoadPlan(url=url, method="GET", expected="right", requests=9, seconds=0, warm_up=False))
    assert (run.requests, run.errors, server.asked) == (6, 3, 6)


@pytest.mark.parametrize("warm_up", [False, True])
async def test_first_wrong_response_is_reported_if_none_is_correct(warm_up: bool) -> None:
    async with answering((503, "no room" + "x" * 1000)) as (_, url):
        plan = LoadPlan(url=url, method="GET", expected="right", seconds=0.1, warm_up=warm_up)
        with pytest.raises(CliError, match=r"No response was correct; the first one: status 503, 'no roomx+'") as told:
            await generated(plan)
    assert len(str(told.value)) < 400
    assert url in str(told.value)
