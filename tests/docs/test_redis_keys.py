"""docs/reference/redis-keys.md names every key that packages share."""

from schemas import redis_keys
from tests.docs.documents import QUOTED, table, text

PAGE = "docs/reference/redis-keys.md"


def test_shared_keys_are_documented() -> None:
    shared = {value for name, value in vars(redis_keys).items() if name.isupper()}
    named = {key for keys, *_ in table(PAGE, "## Keys") for key in QUOTED.findall(keys)}
    missing = {value for value in shared if value not in named and f"`{value}:" not in text(PAGE)}
    assert not missing
