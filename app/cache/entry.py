"""Binary format of the cache entries in Redis."""

import struct
import time
from dataclasses import dataclass
from typing import Self

from isal import isal_zlib

from app.http.encoded_body import EncodedBody

_CHECKSUM = struct.Struct(">I")
"""CRC-32 of all that follows: bytes that another program wrote, or only a part of an entry, must not be sent."""

_HEADER = struct.Struct(">qd?")
"""generation, stale_seconds, whether the body is compressed; the body follows in one form.

Both forms of a list would be seven times as many bytes to send, to store and to receive."""


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
        header = _HEADER.pack(self.generation, self.stale_seconds, self.body.gzip is not None)
        checksum = isal_zlib.crc32(self.body.stored, isal_zlib.crc32(header))
        return b"".join((_CHECKSUM.pack(checksum), header, self.body.stored))

    @classmethod
    def unpack(cls, packed: bytes, retained_seconds: float) -> Self:
        """Unpack an entry that Redis retains for so many seconds from now.

        Raises: struct.error or ValueError, if the bytes are not a packed entry.
        """
        (checksum,) = _CHECKSUM.unpack_from(packed)
        if checksum != isal_zlib.crc32(memoryview(packed)[_CHECKSUM.size :]):
            raise ValueError("The checksum of the entry is that of other bytes.")
        generation, stale_seconds, is_compressed = _HEADER.unpack_from(packed, _CHECKSUM.size)
        fresh_until = time.monotonic() + retained_seconds - stale_seconds
        stored = packed[_CHECKSUM.size + _HEADER.size :]
        body = EncodedBody.of(None, stored) if is_compressed else EncodedBody.of(stored, None)
        return cls(body, generation, fresh_until, stale_seconds)
