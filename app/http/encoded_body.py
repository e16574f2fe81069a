"""A response body in its encoded forms."""

import asyncio
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

from isal import isal_zlib

SMALLEST_TO_COMPRESS = 600
"""Bytes; below this gzip gains nothing."""

COMPRESSION_LEVEL = 1
"""Of ISA-L's 0 to 3."""

LARGEST_TO_COMPRESS_INLINE = 256 * 1024
"""Bytes; larger bodies are compressed in a thread, so that they do not block the event loop."""

_GZIP = 16 + isal_zlib.MAX_WBITS
"""Asks for gzip's header and checksum."""


@dataclass(slots=True)
class EncodedBody:
    plain: bytes | None = field(compare=False)
    """The uncompressed body; None until somebody wants it, if it was stored compressed."""
    gzip: bytes | None
    """None if the body is not compressed."""
    etag: str
    """Without quotes."""
    stale: bool = False
    """True for an outdated body that is served because a current one could not be loaded."""
    unpacked: Any = field(default=None, compare=False, repr=False)
    """What its user has made of `identity`, for the next use; None until then."""

    @classmethod
    def of(cls, plain: bytes | None, compressed: bytes | None) -> Self:
        """Return the body with its tag: the hash of its smaller form, since hashing a list would be felt."""
        body = cls(plain, compressed, "")
        body.etag = blake2b(body.stored, digest_size=16).hexdigest()
        return body

    @property
    def stored(self) -> bytes:
        """The form from which the other one can be made: the compressed one, if there is one."""
        form = self.plain if self.gzip is None else self.gzip
        assert form is not None
        return form

    @property
    def identity(self) -> bytes:
        if self.plain is None:
            self.plain = isal_zlib.decompress(self.stored, _GZIP)
        return self.plain

    @property
    def size(self) -> int:
        """Bytes in memory of both forms, also of one that nobody has wanted yet: gzip ends with its length."""
        compressed = self.gzip or b""
        plain = int.from_bytes(compressed[-4:], "little") if self.plain is None else len(self.plain)
        return plain + len(compressed)


async def encode_body(identity: bytes, *, compress: bool) -> EncodedBody:
    if not compress or len(identity) < SMALLEST_TO_COMPRESS:
        compressed = None
    elif len(identity) <= LARGEST_TO_COMPRESS_INLINE:
        compressed = gzip_of(identity)
    else:
        compressed = await asyncio.to_thread(gzip_of, identity)
    return EncodedBody.of(identity, compressed)


def gzip_of(identity: bytes) -> bytes:
    return isal_zlib.compress(identity, COMPRESSION_LEVEL, _GZIP)
