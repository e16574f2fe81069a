"""What a request's head must be like, beyond what the parser requires.

The parser accepts some requests that other servers and proxies refuse or parse differently. Whoever passes such a
request on may see another request in it than we do, so it is refused (RFC 9112).
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from app.http.raw_response import Header

CHUNKED = -1
"""Instead of the length of a body: its length is given chunk by chunk."""

_AUTHORITY = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=-]*)(?::[0-9]{0,5})?"
"""Host and port, without user. A comma, which a name could have, is taken for two hosts that a proxy has joined."""
_TARGET = rf"(?:/|(?i:https?)://(?![:/]){_AUTHORITY}/)[^\s#]*"
_REQUEST_LINE = re.compile(rf"[\r\n]*(?:(?!CONNECT )[A-Z-]+ {_TARGET}|OPTIONS \*) HTTP/1\.([01])\r\n".encode())
_HOST = re.compile(_AUTHORITY.encode())
_ENCODED_SLASH = re.compile(rb"%(2[Ff])")
_VERSION = re.compile(rb" HTTP/(\d+(?:\.\d+)?)$")


class RequestError(Exception):
    """The request cannot be served: `status` is 400, 501 or 505. The connection has to be closed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def body_length(head: bytes, headers: Sequence[Header]) -> int:
    """Return the length of the body that follows a head, or `CHUNKED`; `headers` are its parsed headers.

    Raises: RequestError for what is no valid HTTP/1.1 or HTTP/1.0 request, or uses a feature that is not implemented.
    """
    line = _REQUEST_LINE.match(head)
    if line is None or not head.endswith(b"\r\n\r\n"):
        raise malformed_head(head)
    fields = dict(headers)
    host = fields.get(b"host")
    if host is None:
        if line[1] != b"0":
            raise RequestError(400)
    elif _HOST.fullmatch(host) is None or (len(fields) != len(headers) and _count(headers, b"host") > 1):
        raise RequestError(400)
    if b"transfer-encoding" in fields:
        _check_transfer_encoding(headers, is_1_0=line[1] == b"0")
        return CHUNKED
    return int(fields.get(b"content-length", 0))


def decode_path(raw_path: bytes) -> str:
    """Return the path of a request target without percent encoding, but for slashes.

    An encoded slash separates no segments. Decoded, a path would pass the rules of a proxy that compares it as it is.
    """
    if b"%" not in raw_path:
        return raw_path.decode("ascii")
    return unquote(_ENCODED_SLASH.sub(rb"%25\1", raw_path).decode("ascii"))


def malformed_head(head: bytes) -> RequestError:
    """Return the error for a head, or the beginning of one, that is no request we can parse."""
    line = head.lstrip(b"\r\n").partition(b"\r\n")[0]
    if line.startswith(b"CONNECT "):
        return RequestError(501)
    version = _VERSION.search(line)
    return RequestError(505 if version and version[1] not in (b"1.0", b"1.1") else 400)


def _check_transfer_encoding(headers: Sequence[Header], *, is_1_0: bool) -> None:
    """Accept `chunked` alone: without it as the last coding, or in HTTP/1.0, nobody knows where the body ends."""
    codings = b",".join([value for name, value in headers if name == b"transfer-encoding"]).lower().split(b",")
    names = [coding.strip(b" \t") for coding in codings]
    if is_1_0 or names[-1] != b"chunked" or names.count(b"chunked") > 1 or _count(headers, b"content-length"):
        raise RequestError(400)
    if len(names) > 1:
        raise RequestError(501)


def _count(headers: Sequence[Header], name: bytes) -> int:
    return sum(header[0] == name for header in headers)
