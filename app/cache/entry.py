"""Binary format of the cache entries in Redis."""

import struct
import time
from dataclasses import dataclass
from typing import Self

from app.http.encoded_body import EncodedBody, etag_of

_HEADER = struct.Struct(">qdI")
"""generation, stale_seconds, number of bytes of the uncompressed body; the two forms of the body follow."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A cached body, as the processes share it."""

    body: EncodedBody
    generation: int
    """Number of the last change that the process knew when it began to load the body."""
    fresh_until: float
    """On the monotonic clock of this process. Redis alone measures how long an entry lives, whoever wrote it."""
    stale_seconds: float
    """Seconds for which it is retained after that, to be served stale during an outage."""

    @property
    def fresh_seconds(self) -> float:
        """Seconds for which it is still fresh; negative once it is stale."""
        return self.fresh_until - time.monotonic()

    def pack(self) -> bytes:
        identity, compressed = self.body.identity, self.body.gzip or b""
        return _HEADER.pack(self.generation, self.stale_seconds, len(identity)) + identity + compressed

    @classmethod
    def unpack(cls, packed: bytes, retained_seconds: float) -> Self:
        """Unpack an entry that Redis retains for so many seconds from now.

        Raises: struct.error, if the bytes are not a packed entry.
        """
        generation, stale_seconds, length = _HEADER.unpack_from(packed)
        fresh_until = time.monotonic() + retained_seconds - stale_seconds
        identity = packed[_HEADER.size : _HEADER.size + length]
        compressed = packed[_HEADER.size + length :] or None
        return cls(EncodedBody(identity, compressed, etag_of(identity)), generation, fresh_until, stale_seconds)
