"""A response body in its encoded forms."""

import asyncio
import gzip
from dataclasses import dataclass
from hashlib import blake2b

SMALLEST_TO_COMPRESS = 600
LEVEL = 5
"""What is kept is made once and sent often, so it may be smaller than an answer to a search."""

LARGEST_TO_COMPRESS_INLINE = 64 * 1024
"""In bytes; compressing more would hold up other requests, so a thread does it."""


@dataclass(frozen=True, slots=True)
class EncodedBody:
    identity: bytes
    gzip: bytes | None
    """None where compressing gains nothing."""
    etag: str
    """Without quotes."""
    stale: bool = False
    """An older state, served because a newer one could not be had."""


async def encode_body(identity: bytes, *, compress: bool) -> EncodedBody:
    if not compress or len(identity) < SMALLEST_TO_COMPRESS:
        compressed = None
    elif len(identity) <= LARGEST_TO_COMPRESS_INLINE:
        compressed = gzip_of(identity)
    else:
        compressed = await asyncio.to_thread(gzip_of, identity)
    return EncodedBody(identity, compressed, etag_of(identity))


def gzip_of(identity: bytes) -> bytes:
    return gzip.compress(identity, compresslevel=LEVEL, mtime=0)


def etag_of(identity: bytes) -> str:
    return blake2b(identity, digest_size=16).hexdigest()
