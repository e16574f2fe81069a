import asyncio

from app.server.admission import AdmissionController
from app.server.parsing_protocol import MAX_PIPELINED
from app.server.parsing_turns import ParsingTurns
from core.configuration.settings import Settings
from tests.support.api.connection import Connection, RecordingApp

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CONNECTIONS, REQUESTS = 20, 100


async def test_one_connection_goes_on_in_each_turn_of_the_loop(settings: Settings) -> None:
    """Also while requests are shed, which needs no task."""
    turns, app = ParsingTurns(), RecordingApp()
    connections = [
        Connection(app, settings, admission=AdmissionController(0), parsing_turns=turns) for _ in range(CONNECTIONS)
    ]
    for connection in connections:
        connection.protocol.data_received(GET * REQUESTS)
    answered = sum(len(connection.statuses) for connection in connections)
    while answered < CONNECTIONS * REQUESTS:
        await asyncio.sleep(0)
        now = sum(len(connection.statuses) for connection in connections)
        assert answered < now <= answered + MAX_PIPELINED
        answered = now


async def test_lost_connection_keeps_no_other_waiting(settings: Settings) -> None:
    turns, app = ParsingTurns(), RecordingApp()
    lost, other = (Connection(app, settings, admission=AdmissionController(0), parsing_turns=turns) for _ in range(2))
    for connection in (lost, other):
        connection.protocol.data_received(GET * REQUESTS)
    lost.lose()
    before = len(lost.statuses)
    while len(other.statuses) < REQUESTS:
        await asyncio.sleep(0)
    assert len(lost.statuses) == before
