"""What Redis holds of cached responses has the format that the number in its keys says.

Processes of two releases share the entries. Whoever changes the format raises the number, so that neither reads the
other's: change `PREFIX` in `app/cache/redis_store.py`, and record the new bytes here.
"""

import pytest
from msgspec.json import encode

from app.cache.entry import StoredEntry
from app.cache.redis_store import PREFIX
from app.http.encoded_body import EncodedBody
from app.recommendations.appendable_body import AppendableJsonBody
from app.recommendations.dependency import Dependency
from scoring.change_impact import ShownList, ShownResults

VERSION = "5"
HEADER = "0000000000000007404e000000000000"
COMPRESSED = bytes.fromhex(f"66db3050{HEADER}01") + b"gzip"
PLAIN = bytes.fromhex(f"54ec57e3{HEADER}00") + b"identity"
BODY = bytes.fromhex("0000000600000007000000000600000000") + b'recorddepends{"a":1'
DEPENDENCY = b'[1,{"2":"Asia"},[[[3,4],[-90,"2027-01-01",4]],[[5],null]]]'


@pytest.mark.parametrize(("compressed", "packed"), [(b"gzip", COMPRESSED), (None, PLAIN)])
def test_entry_has_the_format_of_its_version(compressed: bytes | None, packed: bytes) -> None:
    entry = StoredEntry(EncodedBody(b"identity", compressed, "tag"), generation=7, fresh_until=0.0, stale_seconds=60.0)
    assert (PREFIX.split(":")[-2], entry.pack()) == (VERSION, packed)


def test_recommendations_have_the_format_of_their_version() -> None:
    body = AppendableJsonBody.build(b'{"a":1', b"record", b"depends", gzipped=False)
    assert (PREFIX.split(":")[-2], body.pack()) == (VERSION, BODY)


def test_dependency_has_the_format_of_its_version() -> None:
    shown = ShownResults(ShownList((3, 4), (-90, "2027-01-01", 4)), ShownList((5,), None))
    assert (PREFIX.split(":")[-2], encode(Dependency(1, {2: "Asia"}, shown))) == (VERSION, DEPENDENCY)
