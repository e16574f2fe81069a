"""An address is found in whatever case a row has it, and whatever the locale of the database."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tracking.addresses import MOST_OTHER_LETTERS, other_cases

CASED = [
    letter
    for letter in map(chr, range(0x80, 0x2D00))
    if letter == letter.lower() != letter.upper() and letter.upper().lower() == letter
]
LOWER = text('SELECT stored, lower(stored COLLATE "C"), lower(stored) FROM unnest(CAST(:stored AS text[])) AS stored')


@pytest.mark.parametrize("count", [1, 2, MOST_OTHER_LETTERS])
async def test_stored_address_is_found_in_every_locale(engine: AsyncEngine, count: int) -> None:
    groups = ["".join(CASED[start : start + count]) for start in range(0, len(CASED), count)]
    addresses = [f"d{letters}n@example.org" for letters in groups]
    stored = [spelling for address in addresses for spelling in (address, address.upper(), address.title())]
    async with engine.connect() as connection:
        for spelling, *lowered in await connection.execute(LOWER, {"stored": stored}):
            assert {*lowered} <= {*other_cases(spelling.lower())}, spelling


async def test_address_of_many_letters_is_found_in_one_case(engine: AsyncEngine) -> None:
    address = f"{''.join(CASED[:60])}@example.org"
    async with engine.connect() as connection:
        for _, *lowered in await connection.execute(LOWER, {"stored": [address, address.upper()]}):
            assert {*lowered} <= {*other_cases(address)}
    assert len(other_cases(address)) == 2


def test_address_of_ascii_has_one_spelling() -> None:
    assert other_cases("dana@example.org") == ["dana@example.org"]
