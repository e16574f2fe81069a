"""The load generator, run against a server with known responses."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle

import pytest

from scripts.benchmark.comparison.contestants import generate
from scripts.benchmark.load.plan import LoadPlan, LoadResult
from scripts.errors import CliError

CORRECT = (200, "right")
UNAVAILABLE = (503, "no room")


class FakeServer:
    """Sends the responses in turn, each after `seconds`; closes a connection after `per_connection` responses."""

    def __init__(self, responses: Sequence[tuple[int, str]], seconds: float, per_connection: int) -> None:
        self._responses: Iterator[tuple[int, str]] = cycle(responses)
        self._seconds = seconds
        self._per_connection = per_connection
        self.requests = 0
        self.heads: list[str] = []
        """First lines of the requests."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(self._per_connection):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0))
                self.requests += 1
                self.heads.append(head.split(b" HTTP/")[0].decode())
                status, body = next(self._responses)
                await asyncio.sleep(self._seconds)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    *responses: tuple[int, str], seconds: float = 0, per_connection: int = sys.maxsize
) -> AsyncIterator[tuple[FakeServer, str]]:
    """Start the server; yield it and its URL."""
    server_state = FakeServer(responses, seconds, per_connection)
    server = await asyncio.start_server(server_state.serve, "127.0.0.1", 0)
    try:
        yield server_state, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def generated(plan: LoadPlan) -> LoadResult:
    return await asyncio.to_thread(generate, plan)


async def test_closed_loop_sends_the_minimum_of_requests() -> None:
    async with serving(CORRECT, seconds=0.01) as (server, url):
        plan = LoadPlan(url=url, expected="right", concurrency=8, requests=25, seconds=0, warm_up=False)
        run = await generated(plan)
    assert (run.requests, run.errors, server.requests) == (25, 0, 25)


async def test_run_goes_on_after_the_requests_that_it_skips() -> None:
    async with serving(CORRECT, (202, "right")) as (server, url):
        plan = LoadPlan(
            url=url,
            paths=["a", "b", "c"],
            bodies=[["one"], [""]],
            skip=4,
            expected="right",
            statuses=(200, 202),
            requests=4,
            seconds=0,
            warm_up=False,
        )
        run = await generated(plan)
    assert (run.requests, run.errors) == (4, 0)
    # There are three requests, as many as paths. Without a body it is a GET.
    assert server.heads == ["GET /b", "POST /c", "POST /a", "GET /b"]


async def test_open_loop_counts_the_wait_for_a_connection() -> None:
    async with serving(CORRECT, seconds=0.1) as (_, url):
        plan = LoadPlan(url=url, expected="right", concurrency=2, seconds=1, warm_up=False)
        run = await generated(replace(plan, rate=40.0))
        closed = await generated(plan)
    assert run.requests == 40
    # Half of the requests found no free connection when due; the last ones waited another second.
    assert run.p95 > 700
    assert closed.p95 < 300


async def test_wrong_responses_are_errors_without_latency() -> None:
    async with serving(CORRECT, UNAVAILABLE, (200, "empty")) as (_, url):
        run = await generated(LoadPlan(url=url, expected="right", requests=9, seconds=0, warm_up=False))
    assert (run.requests, run.errors, run.sent) == (3, 6, 9)


async def test_closed_connections_are_replaced() -> None:
    async with serving(CORRECT, per_connection=2) as (server, url):
        run = await generated(LoadPlan(url=url, expected="right", requests=9, seconds=0, warm_up=False))
    assert (run.requests, run.errors, server.requests) == (6, 3, 6)


@pytest.mark.parametrize("warm_up", [False, True])
async def test_first_wrong_response_is_reported_if_none_is_correct(warm_up: bool) -> None:
    async with serving((503, "no room" + "x" * 1000)) as (_, url):
        plan = LoadPlan(url=url, expected="right", seconds=0.1, warm_up=warm_up)
        with pytest.raises(
            CliError, match=r"No response was correct; the first one: status 503, 'no roomx+'"
        ) as raised:
            await generated(plan)
    assert len(str(raised.value)) < 400
    assert url in str(raised.value)
