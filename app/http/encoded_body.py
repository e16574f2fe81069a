"""An answer's finished bytes, and how they lie in Redis."""

import asyncio
import gzip
import struct
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
    return EncodedBody(identity, compressed, _etag(identity))


def gzip_of(identity: bytes) -> bytes:
    return gzip.compress(identity, compresslevel=LEVEL, mtime=0)


def _etag(identity: bytes) -> str:
    return blake2b(identity, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A body as processes share it."""

    body: EncodedBody
    generation: int
    """Of the catalogue, as known when its making began."""
    fresh_until: float
    """Unix time."""

    def pack(self) -> bytes:
        identity, compressed = self.body.identity, self.body.gzip or b""
        return _HEADER.pack(self.generation, self.fresh_until, len(identity)) + identity + compressed

    @classmethod
    def unpack(cls, packed: bytes) -> "StoredEntry":
        generation, fresh_until, length = _HEADER.unpack_from(packed)
        identity = packed[_HEADER.size : _HEADER.size + length]
        compressed = packed[_HEADER.size + length :] or None
        return cls(EncodedBody(identity, compressed, _etag(identity)), generation, fresh_until)


_HEADER = struct.Struct(">qdI")
"""Generation, fresh_until, length of the identity bytes."""
