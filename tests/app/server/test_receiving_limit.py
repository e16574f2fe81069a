"""The limit on requests whose bodies are arriving."""

from collections.abc import AsyncIterator

import pytest

from app.server.receiving_limit import ReceivingLimit
from core.configuration.settings import Settings
from tests.support.api.connection import Connection, RecordingApp

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
LIMIT = 3


@pytest.fixture
async def connections(settings: Settings) -> AsyncIterator[list[Connection]]:
    """Twice as many connections as may receive at once, to one application."""
    app, receiving = RecordingApp(), ReceivingLimit(LIMIT)
    connections = [Connection(app, settings, receiving=receiving) for _ in range(2 * LIMIT)]
    yield connections
    for connection in connections:
        connection.lose()


@pytest.mark.parametrize("packets", [(HEAD,), (HEAD + b"1",), (HEAD, b"1", b"2", b"3")])
async def test_longest_received_request_makes_room(connections: list[Connection], packets: tuple[bytes, ...]) -> None:
    for connection in connections:
        await connection.send(*packets)
    assert [connection.statuses for connection in connections] == [[503]] * LIMIT + [[]] * LIMIT
    for connection in connections[:LIMIT]:
        assert connection.transport.closed
        assert b"\r\nconnection: close" in connection.received
        assert b"\r\nretry-after: " in connection.received
        assert b'"code":"overloaded"' in connection.received


@pytest.mark.parametrize("packets", [(HEAD + b"1234",), (HEAD, b"1234"), (HEAD, b"12", b"34")])
async def test_complete_request_needs_no_room(connections: list[Connection], packets: tuple[bytes, ...]) -> None:
    for connection in connections:
        await connection.send(*packets)
        await connection.send(HEAD + b"1234")
    assert [connection.statuses for connection in connections] == [[200, 200]] * 2 * LIMIT


async def test_lost_connection_leaves_its_room(connections: list[Connection]) -> None:
    for connection in connections[:LIMIT]:
        await connection.send(HEAD)
        connection.lose()
    for connection in connections[LIMIT:]:
        await connection.send(HEAD)
    assert [connection.statuses for connection in connections[LIMIT:]] == [[]] * LIMIT


async def test_next_request_after_an_ended_one_is_not_served(connections: list[Connection]) -> None:
    first, *others = connections[: LIMIT + 1]
    await first.send(HEAD)
    for connection in others:
        await connection.send(HEAD)
    first.protocol.data_received(b"1234" + HEAD + b"1234")
    await first.settle()
    assert first.statuses == [503]
