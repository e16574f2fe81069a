"""A connection to our HTTP protocol without a socket: every packet is as the test cut it."""

import asyncio
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from app.server.admission import AdmissionController
from app.server.connections import ConnectionLimit
from app.server.parsing_turns import ParsingTurns
from app.server.receiving_limit import ReceivingLimit
from app.server.shedding_protocol import LoadSheddingProtocol
from core.configuration.settings import Settings

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(data)]


class RecordingApp:
    """Respond 200 to every request, and record its scope and body."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        """Create an application whose responses wait until `gate` is set, if there is one."""
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.disconnected = 0
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(dict(scope))
        if self._gate is not None:
            await self._gate.wait()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected += 1
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class RecordingTransport(asyncio.Transport):
    """Records what is written, and fails when it is written to after its end."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.reading = True
        self.closed = False
        self.lingers = False
        """Whether only the sending side has been closed."""

    def write(self, data: Any) -> None:
        assert not self.closed, "write to a closed connection"
        self.written += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def write_eof(self) -> None:
        self.closed = self.lingers = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Connection:
    """A client's side of a connection to `app`."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        *,
        admission: AdmissionController | None = None,
        receiving: ReceivingLimit | None = None,
        parsing_turns: ParsingTurns | None = None,
    ) -> None:
        config = uvicorn.Config(app, http=LoadSheddingProtocol, ws="none", log_config=None, access_log=False)
        state = {
            "settings": settings,
            "admission": admission or AdmissionController(10_000),
            "connections": ConnectionLimit(1000),
            "receiving": receiving or ReceivingLimit(1000),
            "parsing_turns": parsing_turns or ParsingTurns(),
        }
        self.server_state = ServerState()
        self.transport = RecordingTransport()
        self.protocol = LoadSheddingProtocol(config, self.server_state, state, asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)

    async def send(self, *packets: bytes) -> None:
        """Send packets, and let the application respond to what they contain."""
        for packet in packets:
            if self.transport.closed:
                break
            self.protocol.data_received(packet)
            await self.settle()

    async def settle(self) -> None:
        """Run until all requests have been served that can be."""
        for _ in range(4):
            await asyncio.sleep(0)

    def lose(self, error: Exception | None = None) -> None:
        """End the connection, as if the client's process had died."""
        self.transport.closed = True
        self.protocol.connection_lost(error)

    @property
    def received(self) -> bytes:
        return bytes(self.transport.written)

    @property
    def statuses(self) -> list[int]:
        return statuses(self.received)


def cut(data: bytes, *positions: int) -> list[bytes]:
    """Cut `data` into packets at `positions`."""
    bounds = [0, *sorted(positions), len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if start < end]
