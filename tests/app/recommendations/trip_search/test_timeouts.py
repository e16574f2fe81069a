"""Searches that take too long, on a server that responds to none or to others."""

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat

import pytest

from app.backends.circuit_breaker import CircuitState
from app.backends.http_client import HttpClient
from app.recommendations.trip_search.elasticsearch import BUSY_INDEX, ElasticsearchTripSearch
from core.errors import BackendUnavailableError
from scoring.predicates import ALWAYS, Condition, Equals

SLOW, FAST = Equals("status", "slow"), ALWAYS
FOUND = b'{"count": 1, "_shards": {"failed": 0}}'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(FOUND), FOUND)
PROBE_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FAILURES = 5
"""Failures in a row that open a circuit breaker."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond to probes and fast searches, and to slow ones never."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"GET"):
                writer.write(PROBE_RESPONSE)
                continue
            lengths = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(lengths[0].partition(b":")[2]))
            if b"slow" not in body:
                writer.write(RESPONSE)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@pytest.fixture
async def trips() -> AsyncIterator[ElasticsearchTripSearch]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(f"http://127.0.0.1:{port}", seconds=0.5, connections=20)
        yield ElasticsearchTripSearch(client, "trips")
        client.close()


async def outcomes(trips: ElasticsearchTripSearch, *conditions: Condition) -> list[int | str]:
    """Search for all at the same time; return the counts, and the reasons of failures."""
    found = await asyncio.gather(*map(trips.count, conditions), return_exceptions=True)
    return [each.reason if isinstance(each, BackendUnavailableError) else int(str(each)) for each in found]


async def test_timeouts_beside_successes_open_no_circuit_breaker(trips: ElasticsearchTripSearch) -> None:
    searches = asyncio.create_task(outcomes(trips, *repeat(SLOW, 2 * FAILURES)))
    await asyncio.sleep(0)
    assert await outcomes(trips, FAST) == [1]
    assert await searches == [BUSY_INDEX] * 2 * FAILURES
    assert trips.breaker.state is CircuitState.CLOSED
    assert await outcomes(trips, FAST) == [1]


async def test_timeouts_of_all_searches_open_the_circuit_breaker(trips: ElasticsearchTripSearch) -> None:
    assert await outcomes(trips, FAST) == [1]
    assert await outcomes(trips, *repeat(SLOW, FAILURES)) == ["TimeoutError"] * FAILURES
    assert trips.breaker.state is CircuitState.OPEN
