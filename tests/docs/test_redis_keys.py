"""docs/reference/redis-keys.md names every Redis key and channel of the code."""

import re

from tests.docs.documents import ROOT, text

PACKAGES = ("app", "core", "indexer", "schemas", "tracking")


def keys() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {key for source in sources for key in re.findall(r'= "(smarttrip:[\w:]+)"', source)}


def test_every_key_is_documented() -> None:
    page = text("docs/reference/redis-keys.md")
    assert len(keys()) >= 8
    assert {key for key in keys() if f"`{key}" not in page} == set()
