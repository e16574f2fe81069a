"""Answers whose headers are made already, once for all who get them.

A server that knows the extension `WHOLE` takes them in one message, with a head that is bytes; others take the two
messages of ASGI.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

JSON = "application/json"

WHOLE = "smarttrip.response.whole"

Header = tuple[bytes, bytes]
Fields = Mapping[bytes, bytes]
"""A request's headers."""

IS_JSON: Header = (b"content-type", JSON.encode())
GZIPPED: Header = (b"content-encoding", b"gzip")
VARIES: Header = (b"vary", b"Accept-Encoding")
CLOSE: Header = (b"connection", b"close")


def content_length(length: int) -> Header:
    return b"content-length", b"%d" % length


def lines(headers: Iterable[Header]) -> bytes:
    """As they stand in the head of an answer."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


@lru_cache(maxsize=4096)
def same_lines(headers: tuple[Header, ...]) -> bytes:
    """`lines` of headers that many answers have."""
    return lines(headers)


def add_headers(message: Message, headers: Iterable[Header]) -> None:
    """To the message that begins an answer, of either kind; others stay as they are."""
    if message["type"] == WHOLE:
        message["head"] = (*message["head"], lines(headers))
    elif message["type"] == "http.response.start":
        # A list of its own: that of a prepared answer is sent many times.
        message["headers"] = [*message["headers"], *headers]


class Prepared(Response):
    """`headers` are all but those that every answer gets; `parts` are the body."""

    def __init__(self, status: int, headers: tuple[Header, ...], parts: Sequence[bytes | memoryview]) -> None:
        self.status_code = status
        self.background = None
        self._pairs = headers
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if WHOLE in scope.get("extensions", ()) and _may_be_whole(scope):
            head = (same_lines(self._pairs),)
            await send({"type": WHOLE, "status": self.status_code, "head": head, "body": self._parts})
            return
        self.raw_headers = [*self._pairs]
        self.body = b"".join(self._parts)
        await super().__call__(scope, receive, send)


def _may_be_whole(scope: Scope) -> bool:
    # While the process ends the server has to look at the headers, to close the connection.
    return scope["method"] != "HEAD" and not scope["state"]["draining"].active
