"""One request and its answer, watched as they pass."""

from collections.abc import Sequence
from time import perf_counter

from starlette.types import Message, Scope, Send

from app.http.raw_response import RAW_RESPONSE_EXTENSION, Header, add_headers
from app.observability import request_metrics

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}
CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client went away before an answer began."""


class InstrumentedSend:
    """Counts and times a request by its route; an address that no route has is one label, whatever clients make up."""

    __slots__ = ("_added", "_began", "_send", "_sent", "_unless_said", "status")

    def __init__(self, send: Send, added: tuple[Header, ...], unless_said: Sequence[Header]) -> None:
        """The answer gets the headers `added`, and those `unless_said` that it has no word on itself."""
        self._send = send
        self._added = added
        self._unless_said = unless_said
        self._sent = 0
        self.status = CLIENT_CLOSED_REQUEST
        self._began = perf_counter()
        request_metrics.in_flight += 1

    @property
    def started(self) -> bool:
        return self.status != CLIENT_CLOSED_REQUEST

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = {name for name, _ in message["headers"]}
            add_headers(message, (*self._added, *(pair for pair in self._unless_said if pair[0] not in said)))
        elif message["type"] == RAW_RESPONSE_EXTENSION:
            self.status = message["status"]
            self._sent += sum(map(len, message["body"]))
            add_headers(message, self._added)
        else:
            self._sent += len(message.get("body", b""))
        await self._send(message)

    def end(self, scope: Scope, received: int) -> None:
        request_metrics.in_flight -= 1
        route = scope["route"].path if "route" in scope else "unknown"
        method = scope["method"] if scope["method"] in METHODS else "other"
        request_metrics.tally(method, route, self.status).add(perf_counter() - self._began, received, self._sent)
