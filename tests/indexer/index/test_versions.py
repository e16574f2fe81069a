import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.index import versions
from tests.support.sync import execute


async def test_what_is_taken_later_is_higher(database: AsyncEngine) -> None:
    taken = [await versions.next_version(database) for _ in range(3)]
    assert taken == sorted(set(taken))


async def test_no_version_is_given_out_twice(database: AsyncEngine) -> None:
    taken = await asyncio.gather(*(versions.next_version(database) for _ in range(20)))
    assert len(set(taken)) == 20


async def test_another_primary_gives_higher_versions_whatever_its_sequence(database: AsyncEngine) -> None:
    here = await versions.database_origin(database)
    assert (here.timeline << 48) < here.version < ((here.timeline + 1) << 48)


async def test_a_version_is_kept_even_if_the_batch_is_not(database: AsyncEngine) -> None:
    connection = await database.connect()
    transaction = await connection.begin()
    taken = await versions.next_version(database)
    await transaction.rollback()
    await connection.close()
    assert await versions.next_version(database) > taken


async def test_the_origin_shows_the_last_version_given_out(database: AsyncEngine) -> None:
    taken = await versions.next_version(database)
    assert (await versions.database_origin(database)).version == taken
    await execute(database, "SELECT setval('smarttrip.index_version', 5)")
    assert (await versions.database_origin(database)).version < taken
    await execute(database, "SELECT setval('smarttrip.index_version', :number)", number=taken & ((1 << 48) - 1))
