"""Conditions on many values."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import BigInteger, Integer, column, func, select, values
from sqlalchemy.ext.asyncio import AsyncEngine

from core.postgres.sql import in_array, not_in_array
from schemas.tables import TripOccurrence

NUMBERS = [1, 2, 3]
MANY = [*range(20_000)]


@pytest.mark.parametrize("kind", [Integer(), BigInteger()], ids=str)
@pytest.mark.parametrize("chosen", [[], [2], [1, 2, 3], [2, 2**40], [2, 2]], ids=str)
async def test_conditions_hold_as_for_lists(engine: AsyncEngine, kind: Any, chosen: Sequence[int]) -> None:
    rows = values(column("number", kind), name="rows").data([(number,) for number in NUMBERS])
    async with engine.connect() as connection:
        found = await connection.scalars(select(rows.c.number).where(in_array(rows.c.number, chosen)))
        left = await connection.scalars(select(rows.c.number).where(not_in_array(rows.c.number, chosen)))
        assert sorted(found) == [number for number in NUMBERS if number in chosen]
        assert sorted(left) == [number for number in NUMBERS if number not in chosen]


async def test_many_values_are_not_compared_with_each_row(engine: AsyncEngine) -> None:
    """A large catalogue with as many pending changes would take minutes."""
    count = select(func.count()).select_from(TripOccurrence).where(not_in_array(TripOccurrence.id, MANY))
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        plan = await driver.fetch(f"EXPLAIN {count.compile(engine.sync_engine)}", MANY)
    assert "Anti Join" in str(plan)
