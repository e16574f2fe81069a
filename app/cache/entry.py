"""Binary format of the cache entries in Redis."""

import struct
from dataclasses import dataclass
from typing import Self

from app.http.encoded_body import EncodedBody, etag_of

_HEADER = struct.Struct(">qdI")
"""generation, fresh_until, number of bytes of the uncompressed body; the two forms of the body follow."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A cached body, as the processes share it."""

    body: EncodedBody
    generation: int
    """Number of the last change that the process knew when it began to load the body."""
    fresh_until: float
    """Unix time."""

    def pack(self) -> bytes:
        identity, compressed = self.body.identity, self.body.gzip or b""
        return _HEADER.pack(self.generation, self.fresh_until, len(identity)) + identity + compressed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Raises: struct.error, if the bytes are not a packed entry."""
        generation, fresh_until, length = _HEADER.unpack_from(packed)
        identity = packed[_HEADER.size : _HEADER.size + length]
        compressed = packed[_HEADER.size + length :] or None
        return cls(EncodedBody(identity, compressed, etag_of(identity)), generation, fresh_until)
