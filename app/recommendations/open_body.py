"""A JSON object whose last fields are still to come: built and compressed once, closed anew for each answer.

Compressed data ends on a byte boundary (RFC 1951, an empty stored block), so that a stored block with the last fields
and the checksum of the whole (RFC 1952) complete it.
"""

import struct
import zlib
from dataclasses import dataclass

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL = 5

_PACKED = struct.Struct(">III")
"""Lengths of note and text, checksum of the text."""


@dataclass(frozen=True, slots=True)
class OpenBody:
    text: bytes | memoryview
    """`{"a":1`: at least one field, no closing brace."""
    deflated: bytes | memoryview
    checksum: int
    note: bytes | memoryview
    """What the maker wants to remember with it; not sent."""

    @classmethod
    def build(cls, text: bytes, note: bytes) -> "OpenBody":
        deflate = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
        return cls(text, deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH), zlib.crc32(text), note)

    def pack(self) -> bytes:
        header = _PACKED.pack(len(self.note), len(self.text), self.checksum)
        return b"".join((header, self.note, self.text, self.deflated))

    @classmethod
    def unpack(cls, packed: bytes) -> "OpenBody":
        """Takes views of `packed`, not copies."""
        note_length, text_length, checksum = _PACKED.unpack_from(packed)
        view = memoryview(packed)[_PACKED.size :]
        text = view[note_length : note_length + text_length]
        return cls(text, view[note_length + text_length :], checksum, view[:note_length])

    def close(self, last_fields: bytes) -> bytes:
        """`last_fields` is JSON without braces, such as `"b":2`."""
        return b"".join((self.text, b",", last_fields, b"}"))

    def close_gzip(self, last_fields: bytes) -> bytes:
        tail = b",%b}" % last_fields
        stored = struct.pack("<BHH", 1, len(tail), len(tail) ^ 0xFFFF)
        end = struct.pack("<II", zlib.crc32(tail, self.checksum), len(self.text) + len(tail))
        return b"".join((GZIP_HEADER, self.deflated, stored, tail, end))
