"""Flood generator, run as a process: reads a FloodPlan as JSON from stdin, writes a JSON line for each phase.

It shares the machine with what it floods, so it does as little as possible for a request: it writes bytes that were
made before, on sockets that stay open, and reads of a response the status, the length and whether it is degraded.
"""

import gc
import json
import resource
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import astuple
from itertools import count, cycle
from typing import Any

import orjson

from scripts.benchmark.load.flood_plan import Answer, Exchange, FloodPlan, Phase, PhaseResult
from scripts.benchmark.load.raw_request import RawRequest
from scripts.benchmark.load.workload import Ids, searches
from scripts.errors import CliError

CHUNK_BYTES = 1 << 18
END_SECONDS = 10.0
"""Seconds for the last responses of a phase to arrive."""
SPARE = 2.0
"""How many times the fastest server's searches a closed loop has ready."""
FASTEST = 6000
"""Responses per second up to which all searches of a closed loop differ."""


class Connection:
    """A socket with one request at a time."""

    __slots__ = ("answer", "due", "head", "left", "sent", "socket")

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head, self.left = b"", 0
        self.due = self.sent = 0.0
        self.answer = Answer.FAILED

    def receive(self) -> bool:
        """Read what has arrived; return whether the response is complete. Raises: OSError."""
        data = self.socket.recv(CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("closed by the server")
        if self.left:
            self.left -= len(data)
            return not self.left
        self.head += data
        end = self.head.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        head, received, self.head = self.head[:end].lower(), len(self.head) - end, b""
        self.answer = _classify(head)
        length = head.index(b"\r\ncontent-length:") + len(b"\r\ncontent-length:")
        self.left = int(head[length : head.index(b"\r\n", length)]) - received
        return not self.left


def _classify(head: bytes) -> Answer:
    """Return what the response with this head, in lower case, is."""
    match head[9:12]:
        case b"200":
            return Answer.DEGRADED if b"\r\nwarning:" in head else Answer.ANSWERED
        case b"503":
            return Answer.REFUSED
        case _:
            return Answer.FAILED


class FloodGenerator:
    def __init__(self, plan: FloodPlan) -> None:
        """Connect. Raises: OSError."""
        self._first = RawRequest.build("GET", plan.url)
        self._plan = plan
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        for _ in range(plan.connections):
            self._free.append(self._connect())

    def run(self, phase: Phase, requests: Iterator[bytes]) -> PhaseResult:
        """Send searches for the seconds of the phase, and wait for the last responses."""
        exchanges: list[Exchange] = []
        cpu = _cpu_seconds()
        self._start = time.perf_counter()
        if phase.rate:
            self._open_loop(phase, requests, exchanges)
        else:
            self._closed_loop(phase, requests, exchanges)
        return PhaseResult(exchanges=exchanges, cpu_seconds=_cpu_seconds() - cpu)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._poll.close()

    def _open_loop(self, phase: Phase, requests: Iterator[bytes], exchanges: list[Exchange]) -> None:
        total, number = int(phase.seconds * phase.rate), 0
        while len(exchanges) < total and self._now() < phase.seconds + END_SECONDS:
            while number < total and self._free and (due := number / phase.rate) <= self._now():
                # The one used last, as gateways do.
                self._send(self._free.pop(), next(requests), due)
                number += 1
            wait = max(0.0, number / phase.rate - self._now()) if number < total and self._free else END_SECONDS
            self._free.extend(self._receive(wait, exchanges))

    def _closed_loop(self, phase: Phase, requests: Iterator[bytes], exchanges: list[Exchange]) -> None:
        ready = [self._free.pop() for _ in range(phase.clients)]
        while ready or len(self._free) < len(self._connections):
            now = self._now()
            if now >= phase.seconds:
                self._free.extend(ready)
                ready = []
            for connection in ready:
                self._send(connection, next(requests), now)
            if now > phase.seconds + END_SECONDS:
                return
            ready = self._receive(END_SECONDS, exchanges) if len(self._free) < len(self._connections) else []

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _send(self, connection: Connection, request: bytes, due: float) -> None:
        connection.due, connection.sent = due, self._now()
        connection.socket.send(request)

    def _receive(self, seconds: float, exchanges: list[Exchange]) -> list[Connection]:
        """Read what arrives next; return the connections that are free again."""
        freed = []
        for number, _ in self._poll.poll(seconds):
            connection = self._connections[number]
            try:
                if not connection.receive():
                    continue
            except OSError:
                connection.answer = Answer.FAILED
                exchanges.append(Exchange(Answer.FAILED, connection.due, connection.sent, self._now()))
                freed.append(self._replace(connection))
                continue
            exchanges.append(Exchange(connection.answer, connection.due, connection.sent, self._now()))
            freed.append(connection)
        return freed

    def _connect(self) -> Connection:
        connection = Connection(self._first.host, self._first.port)
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        return connection

    def _replace(self, connection: Connection) -> Connection:
        del self._connections[connection.socket.fileno()]
        self._poll.unregister(connection.socket)
        connection.socket.close()
        return self._connect()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def distinct_searches(ids: Ids, number: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield so many searches, no two alike."""
    seen: set[bytes] = set()
    for part in count():
        for search in searches(ids, number, seed * 1000 + part):
            key = orjson.dumps(search)
            if key not in seen:
                seen.add(key)
                yield search
            if len(seen) == number:
                return


def build_requests(plan: FloodPlan) -> Iterator[bytes]:
    """Yield searches without end; they differ, unless a closed loop of refusals needs more than expected."""
    number = sum(int(phase.seconds * (phase.rate or SPARE * FASTEST)) for phase in plan.phases)
    bodies = distinct_searches(plan.ids, number + 1, plan.seed)
    return cycle([RawRequest.build("POST", plan.url, orjson.dumps(body)).raw for body in bodies])


def run(plan: FloodPlan) -> Sequence[PhaseResult]:
    requests = build_requests(plan)
    with closing(FloodGenerator(plan)) as generator:
        return [generator.run(phase, requests) for phase in plan.phases]


def main() -> None:
    # Collections would stop the generator for tens of milliseconds.
    gc.disable()
    try:
        results = run(FloodPlan.from_json(json.load(sys.stdin)))
    except (OSError, CliError) as error:
        sys.exit(str(error))
    for result in results:
        exchanges = [astuple(exchange) for exchange in result.exchanges]
        print(json.dumps({"exchanges": exchanges, "cpu_seconds": result.cpu_seconds}))


if __name__ == "__main__":
    main()
