"""Decompression of request bodies (Content-Encoding), within the limit of the body."""

import zlib

from app.http.errors import ApiError, InvalidField, bad_request, too_large
from schemas.messages.message import Message

ACCEPTED = "gzip, deflate"
"""Value of Accept-Encoding in a response to a body with another encoding."""

MAX_MEMBERS = 16
"""Compressed streams that a gzip body may consist of, one after the other."""

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS
"""What some clients send as `deflate`, against the standard."""


def decode_body(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body without its encoding.

    Raises: ApiError 400 (the body is not what its encoding says), 413 (more than `limit` bytes), 415 (other encodings).
    """
    name = encoding.strip().lower()
    if name in ("", "identity") or not body:
        return body
    if name not in ("gzip", "x-gzip", "deflate"):
        message = Message("encoding_not_supported", accepted=ACCEPTED)
        raise ApiError(415, "unsupported_media_type", message, headers={"Accept-Encoding": ACCEPTED})
    try:
        return _decompress(body, _window_bits(body, name), limit)
    except zlib.error:
        raise _malformed(name) from None


def _window_bits(body: bytes, name: str) -> int:
    """Tell zlib and raw deflate apart by the check bits of zlib's header."""
    is_zlib = len(body) >= 2 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
    return RAW_DEFLATE if name == "deflate" and not is_zlib else GZIP_OR_ZLIB


def _decompress(body: bytes, window_bits: int, limit: int) -> bytes:
    """Decompress at most one byte more than the limit. Raises: ApiError 400 or 413, zlib.error."""
    content = b""
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(window_bits)
        content += stream.decompress(body, limit + 1 - len(content))
        if len(content) > limit:
            raise too_large(limit)
        if not stream.eof:
            break
        body = stream.unused_data
        if not body:
            return content
    raise _malformed("compressed")


def _malformed(encoding: str) -> ApiError:
    return bad_request([InvalidField("body", Message("encoding_incomplete", encoding=encoding))])
