"""A response body in its encoded forms."""

import asyncio
import gzip
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

SMALLEST_TO_COMPRESS = 600
"""Bytes; below this gzip gains nothing."""

LEVEL, LEVEL_OF_LARGE = 5, 3
"""Higher than for searches: a cached body is compressed once and sent often. Of a list of 50 departures, level 5 would
take as long as all of the rest, for a sixth of the compressed bytes."""

LARGEST_TO_COMPRESS_INLINE = 64 * 1024
"""Bytes; larger bodies are compressed in a thread, so that they do not block the event loop."""


@dataclass(slots=True)
class EncodedBody:
    identity: bytes
    gzip: bytes | None
    """None if the body is not compressed."""
    etag: str
    """Without quotes."""
    stale: bool = False
    """True for an outdated body that is served because a current one could not be loaded."""
    unpacked: Any = field(default=None, compare=False, repr=False)
    """What its user has made of `identity`, for the next use; None until then."""


async def encode_body(identity: bytes, *, compress: bool) -> EncodedBody:
    if not compress or len(identity) < SMALLEST_TO_COMPRESS:
        compressed = None
    elif len(identity) <= LARGEST_TO_COMPRESS_INLINE:
        compressed = gzip_of(identity)
    else:
        compressed = await asyncio.to_thread(gzip_of, identity)
    return EncodedBody(identity, compressed, etag_of(identity))


def gzip_of(identity: bytes) -> bytes:
    level = LEVEL if len(identity) <= LARGEST_TO_COMPRESS_INLINE else LEVEL_OF_LARGE
    return gzip.compress(identity, compresslevel=level, mtime=0)


def etag_of(identity: bytes) -> str:
    return blake2b(identity, digest_size=16).hexdigest()
