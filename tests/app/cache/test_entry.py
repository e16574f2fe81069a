"""Entries of the cache in Redis: packing, and bytes that are none."""

import struct
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.entry import StoredEntry
from app.http.encoded_body import EncodedBody, encode_body


@pytest.mark.parametrize("identity", [b"", b"small", b"departure " * 20_000])
async def test_unpacking_reverses_packing(identity: bytes) -> None:
    body = await encode_body(identity, compress=True)
    entry = StoredEntry(body, generation=2**62, fresh_until=time.monotonic() + 5.0, stale_seconds=3600.25)
    unpacked = StoredEntry.unpack(entry.pack(), retained_seconds=3605.25)
    assert unpacked.fresh_seconds == pytest.approx(5.0, abs=0.5)
    assert replace(unpacked, fresh_until=entry.fresh_until) == entry
    assert unpacked.body.size == body.size
    assert unpacked.body.identity == identity
    assert unpacked.body.size == body.size


async def test_body_is_stored_in_one_form() -> None:
    body = await encode_body(b"departure " * 20_000, compress=True)
    assert body.gzip is not None
    packed = StoredEntry(body, generation=1, fresh_until=time.monotonic(), stale_seconds=1.0).pack()
    assert len(packed) < len(body.gzip) + 50


PACKED = StoredEntry(EncodedBody(b"a body", None, "tag"), generation=7, fresh_until=0.0, stale_seconds=60.0).pack()


@given(st.binary(max_size=200))
def test_bytes_of_another_program_are_no_entry(foreign: bytes) -> None:
    with pytest.raises((struct.error, ValueError)):
        StoredEntry.unpack(foreign, 60.0)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_entry_with_a_changed_byte_is_none(position: int, change: int) -> None:
    changed = bytearray(PACKED)
    changed[position] ^= change
    with pytest.raises((struct.error, ValueError)):
        StoredEntry.unpack(bytes(changed), 60.0)


@pytest.mark.parametrize("length", range(len(PACKED)))
def test_part_of_an_entry_is_none(length: int) -> None:
    with pytest.raises((struct.error, ValueError)):
        StoredEntry.unpack(PACKED[:length], 60.0)
