"""Requests that servers are known to read differently (request smuggling), made by rule.

Each request announces a body, in some odd way, and the body contains another request. A server may refuse the request,
or serve it and skip its body; it must never serve what is in the body.
"""

from dataclasses import dataclass
from itertools import product

HIDDEN_ID = b"hidden-request"
"""`X-Request-ID` of the request in the body; a response with it shows that the body was parsed as a request."""
LAST_ID = b"last-request"

HIDDEN = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\n\r\n" % HIDDEN_ID
LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\nConnection: close\r\n\r\n" % LAST_ID

METHODS = (b"GET", b"POST", b"HEAD", b"DELETE", b"OPTIONS", b"PUT")


def _chunked(extension: bytes = b"", trailers: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n0\r\n%b\r\n" % (len(HIDDEN), extension, HIDDEN, trailers)


_ENDED_BODY = b"0\r\n\r\n" + HIDDEN
"""Hidden from who counts bytes, a request for who reads chunks."""


def _both(coding: bytes) -> tuple[bytes, bytes]:
    return b"Content-Length: %d\r\n%b\r\n" % (len(_ENDED_BODY), coding), _ENDED_BODY


FRAMINGS = {
    "length": (b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN),
    "chunks": (b"Transfer-Encoding: chunked\r\n", _chunked()),
    "chunk extension": (b"Transfer-Encoding: chunked\r\n", _chunked(b";a=b")),
    "trailers": (b"Transfer-Encoding: chunked\r\n", _chunked(trailers=b"Content-Length: 0\r\nX-A: b\r\n")),
    **{
        f"length and {name}": _both(coding)
        for name, coding in {
            "chunked": b"Transfer-Encoding: chunked",
            "capitals": b"TRANSFER-ENCODING: CHUNKED",
            "tab": b"Transfer-Encoding:\tchunked",
            "vertical tab": b"Transfer-Encoding: \x0bchunked",
            "no blank": b"Transfer-Encoding:chunked",
            "blank before colon": b"Transfer-Encoding : chunked",
            "blank before name": b" Transfer-Encoding: chunked",
            "prefix": b"Transfer-Encoding: xchunked",
            "suffix": b"Transfer-Encoding: chunkedx",
            "quotes": b'Transfer-Encoding: "chunked"',
            "identity": b"Transfer-Encoding: chunked, identity",
            "two codings": b"Transfer-Encoding: gzip, chunked",
            "two headers": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            "underscore": b"Transfer_Encoding: chunked",
            "folded": b"Transfer-Encoding:\r\n chunked",
            "after line feed": b"X-A: b\nTransfer-Encoding: chunked",
            "after carriage return": b"X-A: b\rTransfer-Encoding: chunked",
            "before colon a NUL": b"Transfer-Encoding\0: chunked",
            "high byte": b"Transfer-Encoding: chunked\xa0",
        }.items()
    },
}
"""Headers that announce the body, and the body, by name."""

ORDINARY = ("length", "chunks", "chunk extension", "trailers")
"""Framings that every server reads alike."""

ODDITIES = {
    "none": (b"", b"HTTP/1.1"),
    "h2c": (b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b"HTTP/1.1"),
    "websocket": (b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", b"HTTP/1.1"),
    "upgrade to anything": (b"Upgrade: a, b/1.0\r\nConnection: upgrade\r\n", b"HTTP/1.1"),
    "expectation": (b"Expect: 100-continue\r\n", b"HTTP/1.1"),
    "keep-alive": (b"Connection: keep-alive\r\n", b"HTTP/1.1"),
    "named framing": (b"Connection: Content-Length, Transfer-Encoding\r\n", b"HTTP/1.1"),
    "empty length": (b"Content-Length:\r\n", b"HTTP/1.1"),
    "length of zero": (b"Content-Length: 0\r\n", b"HTTP/1.1"),
    "signed length": (b"Content-Length: +0\r\n", b"HTTP/1.1"),
    "list of lengths": (b"Content-Length: 0, 0\r\n", b"HTTP/1.1"),
    "second host": (b"Host: y\r\n", b"HTTP/1.1"),
    "folded header": (b"X-A: b\r\n c\r\n", b"HTTP/1.1"),
    "header without name": (b": b\r\n", b"HTTP/1.1"),
    "header without colon": (b"Xb\r\n", b"HTTP/1.1"),
    "empty header": (b"X-A:\r\n", b"HTTP/1.1"),
    "bare line feed": (b"X-A: b\n", b"HTTP/1.1"),
    "control character": (b"X-A: \x01\r\n", b"HTTP/1.1"),
    "HTTP/1.0": (b"", b"HTTP/1.0"),
    "HTTP/1.0 kept alive": (b"Connection: keep-alive\r\n", b"HTTP/1.0"),
    "HTTP/2.0": (b"", b"HTTP/2.0"),
    "HTTP/0.9": (b"", b"HTTP/0.9"),
    "blank after version": (b"", b"HTTP/1.1 "),
}
"""Additional headers, and the version, by name."""


@dataclass(frozen=True)
class DesyncRequest:
    name: str
    head: bytes
    body: bytes
    is_ordinary: bool
    """Whether there is nothing odd about it."""

    @property
    def packets(self) -> tuple[tuple[bytes, ...], ...]:
        """The request and an ordinary one after it, in one packet and with the body in a packet of its own."""
        return (self.head + self.body + LAST,), (self.head, self.body, LAST)


def _request(method: bytes, framing: str, oddity: str) -> DesyncRequest:
    announcement, body = FRAMINGS[framing]
    extra, version = ODDITIES[oddity]
    head = b"%b /api/nothing %b\r\nHost: x\r\n%b%b\r\n" % (method, version, extra, announcement)
    is_ordinary = framing in ORDINARY and oddity == "none"
    return DesyncRequest(f"{method.decode()}, {framing}, {oddity}", head, body, is_ordinary)


REQUESTS = [_request(*parts) for parts in product(METHODS, FRAMINGS, ODDITIES)]
