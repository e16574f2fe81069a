"""An HTTP request as bytes, encoded once, so that the load generator costs little.

A general HTTP client costs more per request than the measured servers, and would hide their differences.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from app.backends.http_client import encode_fields, request
from app.http.raw_response import JSON


@dataclass(frozen=True)
class RawRequest:
    """Encoded once, sent many times."""

    host: str
    port: int
    raw: bytes

    @classmethod
    def build(cls, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> "RawRequest":
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        fields = {"Host": parts.netloc, **(headers or {})}
        if body:
            fields["Content-Type"] = JSON
        return cls(parts.hostname, parts.port, request(method, target, encode_fields(fields), body))
