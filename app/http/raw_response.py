"""Responses with rendered headers, which many responses share.

Our server supports an ASGI extension (`RAW_RESPONSE_EXTENSION`) that takes headers and body in one message, the headers
as bytes. Other servers get the two standard messages.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

JSON = "application/json"

RAW_RESPONSE_EXTENSION = "smarttrip.response.whole"
"""ASGI extension and message type: `status`, `head` (chunks of rendered headers) and `body` (chunks)."""

REQUEST_BODY_EXTENSION = "smarttrip.request.body"
"""ASGI extension of a server that has received the whole request: its scope carries `{"body": bytes}`.

The application then does not `receive` the body; with other servers it does.
"""

RESPONSE_STARTS = ("http.response.start", RAW_RESPONSE_EXTENSION)
"""Types of the messages that start a response."""

Header = tuple[bytes, bytes]
RequestHeaders = Mapping[bytes, bytes]
"""Headers of a request, by lower-case name."""

CONTENT_TYPE_JSON: Header = (b"content-type", JSON.encode())
CONTENT_ENCODING_GZIP: Header = (b"content-encoding", b"gzip")
VARY_ACCEPT_ENCODING: Header = (b"vary", b"Accept-Encoding")
CONNECTION_CLOSE: Header = (b"connection", b"close")


def content_type(media_type: str) -> Header:
    """Return the Content-Type header of text in UTF-8."""
    return b"content-type", f"{media_type}; charset=utf-8".encode()


def content_length(length: int) -> Header:
    return b"content-length", b"%d" % length


def encode_headers(headers: Iterable[Header]) -> bytes:
    """Render headers as HTTP/1.1 sends them."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


@lru_cache(maxsize=512)
def encode_headers_cached(headers: tuple[Header, ...]) -> bytes:
    """`encode_headers` for headers that many responses share. Those of searches differ in length: few are kept."""
    return encode_headers(headers)


PUBLIC = (b"cache-control", b"public")
"""Header and first directive of responses that shared caches store, and send to other clients."""


def is_public(message: Message) -> bool:
    """Return whether a message that starts a response lets shared caches store it."""
    name, directive = PUBLIC
    if message["type"] == RAW_RESPONSE_EXTENSION:
        for chunk in message["head"]:  # noqa: SIM110  # a generator takes three times as long
            if RENDERED_PUBLIC in chunk:
                return True
        return False
    return any(header == name and value.startswith(directive) for header, value in message["headers"])


RENDERED_PUBLIC = b"%b: %b" % PUBLIC


def add_headers(message: Message, own: Iterable[Header], shared: tuple[Header, ...] = ()) -> None:
    """Add headers to a message that starts a response, raw or standard; leave other messages unchanged.

    `own` are those of this response alone, `shared` those that many responses have.
    """
    if message["type"] == RAW_RESPONSE_EXTENSION:
        message["head"] = (*message["head"], encode_headers(own), encode_headers_cached(shared))
    elif message["type"] == "http.response.start":
        # A new list: that of the message may be shared by many responses.
        message["headers"] = [*message["headers"], *own, *shared]


class RawResponse(Response):
    """Send `parts` as the body; the middleware adds the headers that all responses have."""

    def __init__(self, status: int, headers: tuple[Header, ...], parts: Sequence[bytes | memoryview]) -> None:
        self.status_code = status
        self.background = None
        self._pairs = headers
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if RAW_RESPONSE_EXTENSION in scope.get("extensions", ()) and scope["method"] != "HEAD":
            head = (encode_headers_cached(self._pairs),)
            await send({"type": RAW_RESPONSE_EXTENSION, "status": self.status_code, "head": head, "body": self._parts})
            return
        self.raw_headers = [*self._pairs]
        self.body = b"".join(self._parts)
        await super().__call__(scope, receive, send)
