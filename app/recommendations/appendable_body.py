"""A JSON object whose last fields are still to come: built and compressed once, closed anew for each answer.

Compressed data ends on a byte boundary (RFC 1951, an empty stored block), so that a stored block with the last fields
and the checksum of the whole (RFC 1952) complete it.
"""

import struct
import zlib

from msgspec import Struct

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL = 3
"""Twice as fast as the usual 6, for a fourth more bytes."""

_PACKED = struct.Struct(">I?II")
"""Length of the note, whether the body is compressed, length and checksum of its text."""


class AppendableJsonBody(Struct, frozen=True):
    data: bytes | memoryview
    """`{"a":1`: at least one field, no closing brace; deflated if `gzipped`."""
    gzipped: bool
    length: int
    checksum: int
    note: bytes | memoryview
    """What the maker wants to remember with it; not sent."""

    @classmethod
    def build(cls, text: bytes, note: bytes, *, gzipped: bool) -> "AppendableJsonBody":
        if not gzipped:
            return cls(text, False, len(text), 0, note)
        deflate = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
        deflated = deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return cls(deflated, True, len(text), zlib.crc32(text), note)

    def pack(self) -> bytes:
        return b"".join((_PACKED.pack(len(self.note), self.gzipped, self.length, self.checksum), self.note, self.data))

    @classmethod
    def unpack(cls, packed: bytes) -> "AppendableJsonBody":
        """Takes views of `packed`, not copies."""
        note_length, gzipped, length, checksum = _PACKED.unpack_from(packed)
        view = memoryview(packed)[_PACKED.size :]
        return cls(view[note_length:], gzipped, length, checksum, view[:note_length])

    def close(self, last_fields: bytes) -> tuple[bytes | memoryview, ...]:
        """The parts of the whole. `last_fields` is JSON without braces, such as `"b":2`."""
        tail = b",%b}" % last_fields
        if not self.gzipped:
            return self.data, tail
        stored = struct.pack("<BHH", 1, len(tail), len(tail) ^ 0xFFFF)
        end = struct.pack("<II", zlib.crc32(tail, self.checksum), self.length + len(tail))
        return GZIP_HEADER, self.data, b"".join((stored, tail, end))
