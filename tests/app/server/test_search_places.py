"""Whatever clients send, and however they leave, the places that their searches take are given back."""

import asyncio
import random
from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send

from app.server.admission import AdmissionController
from app.server.receiving_limit import ReceivingLimit
from app.server.search_limit import rule_out_search
from core.configuration.settings import Settings
from tests.support.api.connection import Connection, cut

BODIES = (b"", b"old", b"new", b"x" * 3000)
HEADS = (
    b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n",
    b"HEAD /search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n",
    b"OPTIONS /search HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n",
    b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n",
)
FIELDS = (
    b"",
    b"",
    b"",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n",
)
CHUNKED = b"POST /search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n0\r\n\r\n"
MALFORMED = (b"POST /search HTTP/1.1\r\n\r\n", b"\0\r\n\r\n", CHUNKED.replace(b"3\r", b"z\r"))


class UnreliableApp:
    """Does what applications do: search or not, read a body or not, wait, fail, respond before the body is there."""

    def __init__(self, chance: random.Random, admission: AdmissionController) -> None:
        self._chance = chance
        self._searches = admission.searches
        self.gate = asyncio.Event()

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        chance = self._chance
        if chance.random() < 0.7:
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
            if message["type"] == "http.disconnect":
                return
        if chance.random() < 0.3:
            rule_out_search()
        if chance.random() < 0.6:
            await self._search()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _search(self) -> None:
        with self._searches.measure():
            if self._chance.random() < 0.5:
                await self.gate.wait()
            if self._chance.random() < 0.1:
                raise ValueError("an error that nobody expects")


def stream(chance: random.Random) -> list[bytes]:
    """Return pipelined requests, in packets."""
    requests = []
    for _ in range(chance.randint(1, 20)):
        body = chance.choice(BODIES)
        request = chance.choice(HEADS) % (len(body), chance.choice(FIELDS)) + body
        requests.append(chance.choice((request, request, request, CHUNKED)))
    if chance.random() < 0.2:
        requests.append(chance.choice(MALFORMED))
    data = b"".join(requests)
    return cut(data, *(chance.randrange(len(data) + 1) for _ in range(chance.randint(0, 30))))


@pytest.fixture
def make_connection(
    settings: Settings, admission: AdmissionController, receiving: ReceivingLimit, app: UnreliableApp
) -> Callable[[], Connection]:
    return lambda: Connection(app, settings, admission=admission, receiving=receiving)


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)


@pytest.fixture
async def admission() -> AdmissionController:
    """Return a controller whose limits are often reached."""
    return AdmissionController(40, search_endpoints={("POST", "/search")}, is_cached=lambda _, body: body == b"old")


@pytest.fixture
def receiving() -> ReceivingLimit:
    return ReceivingLimit(3)


@pytest.fixture
def app(chance: random.Random, admission: AdmissionController) -> UnreliableApp:
    return UnreliableApp(chance, admission)


@pytest.mark.parametrize("seed", range(100))
async def test_every_place_is_given_back(
    chance: random.Random,
    admission: AdmissionController,
    receiving: ReceivingLimit,
    app: UnreliableApp,
    make_connection: Callable[[], Connection],
) -> None:
    clients = [(make_connection(), stream(chance)) for _ in range(chance.randint(1, 30))]
    while any(packets for _, packets in clients):
        connection, packets = chance.choice(clients)
        if packets:
            await connection.send(packets.pop(0))
        if chance.random() < 0.02:
            packets.clear()
            connection.lose(chance.choice([None, ConnectionResetError()]))
        if chance.random() < 0.05:
            app.gate.set()
            await asyncio.sleep(0)
            app.gate.clear()
    app.gate.set()
    for connection, _ in clients:
        connection.lose()
    for connection, _ in clients:
        for _ in range(10):
            await connection.settle()
    searches = admission.searches
    assert (searches.in_flight, searches.undecided, searches.searching) == (0, 0, 0)
    assert not receiving._receiving
