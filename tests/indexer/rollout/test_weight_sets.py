"""Weight sets in Postgres."""

import asyncio

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.rollout.weight_sets import WeightSetError, add, find, parse_weights, summaries
from schemas.tables import StoredWeights
from scoring.weight_set import PLATFORM_SET, WeightSet
from scoring.weights import Weights

SUMMER = Weights(country=25)


async def stored(engine: AsyncEngine, name: str = "summer", weights: Weights = SUMMER) -> WeightSet:
    async with engine.begin() as connection:
        return await add(connection, name, weights, by="dana", comment="more for countries")


async def test_stored_set_is_found_by_its_reference(database: AsyncEngine) -> None:
    assert (await stored(database)).reference == "summer@1"
    async with database.connect() as connection:
        assert await find(connection, "summer@1") == WeightSet("summer@1", SUMMER)
        assert await find(connection, "platform") == PLATFORM_SET


async def test_concurrent_additions_become_different_versions(database: AsyncEngine) -> None:
    sets = await asyncio.gather(*(stored(database) for _ in range(5)))
    assert {each.reference for each in sets} == {f"summer@{version}" for version in range(1, 6)}


@pytest.mark.parametrize("reference", ["", "summer", "summer@2", "summer@0", "winter@1", "summer@1'--", "Summer@1"])
async def test_unknown_reference_finds_nothing(database: AsyncEngine, reference: str) -> None:
    await stored(database)
    async with database.connect() as connection:
        assert await find(connection, reference) is None


@pytest.mark.parametrize("name", ["platform", "", "Summer", "summer@1", "a" * 21, "1st", "a b"])
async def test_name_that_is_no_name_is_rejected(database: AsyncEngine, name: str) -> None:
    with pytest.raises(WeightSetError, match="The name should be"):
        await stored(database, name)


async def test_set_that_this_release_cannot_use_is_not_found(database: AsyncEngine) -> None:
    await stored(database)
    async with database.begin() as connection:
        await connection.execute(update(StoredWeights).values(points={"country": 1000}))
        assert await find(connection, "summer@1") is None


async def test_summaries_say_who_stored_what(database: AsyncEngine) -> None:
    await stored(database)
    async with database.connect() as connection:
        built_in, summer = await summaries(connection)
    assert (built_in.reference, built_in.changes) == ("platform", {})
    assert (summer.reference, summer.created_by, summer.comment) == ("summer@1", "dana", "more for countries")
    assert summer.changes == {"country": 25}


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        ({"country": 101}, "country should be a whole number from 0 to 100."),
        ({"good_themes": 26}, "excellent_themes should be at least good_themes, which is the worse match."),
        ([], "A weight set should be an object of points by rule."),
    ],
)
def test_rejected_points_are_named_in_a_sentence(points: object, sentence: str) -> None:
    with pytest.raises(WeightSetError) as raised:
        parse_weights(points)
    assert str(raised.value) == sentence
