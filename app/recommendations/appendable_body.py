"""A cached JSON body, optionally gzipped, to which fields are appended per response without compressing it again.

The compressed data ends on a byte boundary (RFC 1951, an empty stored block), so that a stored block with the last
fields and the checksum of the whole (RFC 1952) complete it.
"""

import struct

from isal import isal_zlib
from msgspec import Struct

from app.http.encoded_body import COMPRESSION_LEVEL

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_PACKED = struct.Struct(">II?II")
"""Lengths of the metadata and the dependency, whether the body is compressed, length and checksum of its uncompressed
text."""


class AppendableJsonBody(Struct, frozen=True):
    data: bytes | memoryview
    """JSON such as `{"a":1`: at least one field, no closing brace; deflated if `gzipped`."""
    gzipped: bool
    length: int
    """Bytes of the uncompressed text."""
    checksum: int
    """CRC-32 of the uncompressed text; 0 if not `gzipped`."""
    metadata: bytes
    """What is logged of the body, stored with it and not sent."""
    dependency: bytes = b""
    """What the body depends on, stored with it and not sent."""

    @classmethod
    def build(cls, text: bytes, metadata: bytes, dependency: bytes = b"", *, gzipped: bool) -> "AppendableJsonBody":
        if not gzipped:
            return cls(text, False, len(text), 0, metadata, dependency)
        deflate = isal_zlib.compressobj(COMPRESSION_LEVEL, wbits=-isal_zlib.MAX_WBITS)
        deflated = deflate.compress(text) + deflate.flush(isal_zlib.Z_SYNC_FLUSH)
        return cls(deflated, True, len(text), isal_zlib.crc32(text), metadata, dependency)

    def pack(self) -> bytes:
        head = _PACKED.pack(len(self.metadata), len(self.dependency), self.gzipped, self.length, self.checksum)
        return b"".join((head, self.metadata, self.dependency, self.data))

    @classmethod
    def unpack(cls, packed: bytes) -> "AppendableJsonBody":
        """Return a body whose data is a view of `packed`, not a copy."""
        metadata_length, dependency_length, gzipped, length, checksum = _PACKED.unpack_from(packed)
        view = memoryview(packed)[_PACKED.size :]
        end = metadata_length + dependency_length
        metadata, dependency = bytes(view[:metadata_length]), bytes(view[metadata_length:end])
        return cls(view[end:], gzipped, length, checksum, metadata, dependency)

    def close(self, last_fields: bytes) -> tuple[bytes | memoryview, ...]:
        """Return the parts of the complete body. `last_fields` is JSON without braces, such as `"b":2`."""
        tail = b",%b}" % last_fields
        if not self.gzipped:
            return self.data, tail
        stored = struct.pack("<BHH", 1, len(tail), len(tail) ^ 0xFFFF)
        end = struct.pack("<II", isal_zlib.crc32(tail, self.checksum), self.length + len(tail))
        return GZIP_HEADER, self.data, b"".join((stored, tail, end))
