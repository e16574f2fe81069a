import pytest

from app.cache.entry import StoredEntry
from app.http.encoded_body import encode_body


@pytest.mark.parametrize("identity", [b"", b"small", b"departure " * 20_000])
async def test_unpacking_reverses_packing(identity: bytes) -> None:
    entry = StoredEntry(await encode_body(identity, compress=True), generation=2**62, fresh_until=1795500000.25)
    assert StoredEntry.unpack(entry.pack()) == entry
