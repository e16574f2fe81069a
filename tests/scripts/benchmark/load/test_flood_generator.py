"""The flood generator, run against a server with known responses."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle

import orjson
import pytest

from scripts.benchmark.load.flood_generator import distinct_searches, run
from scripts.benchmark.load.flood_plan import Answer, FloodPlan, Phase, PhaseResult
from scripts.benchmark.load.workload import Ids

IDS = Ids(countries=[1, 2, 3, 4], types=[1, 2], themes=[1, 2, 3, 4], year=2026)
RESPONSES = {
    Answer.ANSWERED: b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000,
    Answer.DEGRADED: b'HTTP/1.1 200 OK\r\nWarning: 199 - "slow"\r\ncontent-length: 2\r\n\r\n{}',
    Answer.REFUSED: b"HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    Answer.FAILED: b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
}


@asynccontextmanager
async def responding(*answers: Answer, seconds: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve the answers in turn, each after `seconds`, or none; yield the URL and the bodies that are received."""
    turns, bodies = cycle(answers), list[bytes]()
    handlers = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError, StopIteration):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                bodies.append(await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0])))
                await asyncio.sleep(seconds)
                writer.write(RESPONSES[next(turns)])
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", bodies
    finally:
        # The generator has closed its connections; the last of them may not have been accepted yet.
        await asyncio.sleep(0.1)
        server.close()
        await asyncio.gather(*filter(None, handlers))


async def generated(url: str, *phases: Phase, connections: int = 8) -> list[PhaseResult]:
    plan = FloodPlan(url=url, ids=IDS, seed=1, phases=phases, connections=connections)
    return [*await asyncio.to_thread(run, plan)]


async def test_every_response_is_counted_as_what_it_is() -> None:
    async with responding(*Answer) as (url, bodies):
        [result] = await generated(url, Phase(seconds=1, rate=40))
    assert Counter(exchange.answer for exchange in result.exchanges) == dict.fromkeys(Answer, 10)
    assert len({*bodies}) == 40
    assert result.cpu_seconds > 0


async def test_latency_counts_from_when_a_request_was_due() -> None:
    async with responding(Answer.ANSWERED, seconds=0.1) as (url, _):
        [result] = await generated(url, Phase(seconds=1, rate=40), connections=2)
    last = max(result.exchanges, key=lambda exchange: exchange.due)
    # Two connections serve twenty requests a second: the last ones have waited for a second.
    assert last.seconds > 0.7
    assert last.received - last.sent < 0.5


async def test_closed_loop_sends_the_next_request_after_a_response() -> None:
    async with responding(Answer.REFUSED, seconds=0.1) as (url, bodies):
        [result] = await generated(url, Phase(seconds=0.5, clients=2))
    assert 4 <= len(result.exchanges) == len(bodies) <= 12


async def test_phases_follow_each_other_on_the_same_connections() -> None:
    async with responding(Answer.ANSWERED) as (url, bodies):
        first, second = await generated(url, Phase(seconds=0.2, rate=50), Phase(seconds=0.2, clients=1))
    assert len(first.exchanges) == 10
    assert len(second.exchanges) == len(bodies) - 10 > 0


async def test_broken_connection_is_a_failure_and_replaced() -> None:
    async with responding() as (url, _):
        [result] = await generated(url, Phase(seconds=0.2, rate=50), connections=1)
    assert [exchange.answer for exchange in result.exchanges] == [Answer.FAILED] * 10


@pytest.mark.parametrize("number", [1, 3000])
def test_no_two_searches_are_alike(number: int) -> None:
    assert len({orjson.dumps(search) for search in distinct_searches(IDS, number, seed=1)}) == number
