import time
from dataclasses import replace

import pytest

from app.cache.entry import StoredEntry
from app.http.encoded_body import encode_body


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
