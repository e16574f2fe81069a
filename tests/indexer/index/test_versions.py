import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.index import versions
from tests.support.sync import execute


async def test_later_version_is_higher(database: AsyncEngine) -> None:
    taken = [await versions.next_version(database) for _ in range(3)]
    assert taken == sorted(set(taken))


async def test_versions_are_unique(database: AsyncEngine) -> None:
    taken = await asyncio.gather(*(versions.next_version(database) for _ in range(20)))
    assert len(set(taken)) == 20


async def test_timeline_is_the_high_bits_of_a_version(database: AsyncEngine) -> None:
    here = await versions.database_origin(database)
    assert (here.timeline << 48) < here.version < ((here.timeline + 1) << 48)


async def test_version_survives_rolled_back_batch(database: AsyncEngine) -> None:
    connection = await database.connect()
    transaction = await connection.begin()
    taken = await versions.next_version(database)
    await transaction.rollback()
    await connection.close()
    assert await versions.next_version(database) > taken


async def test_origin_has_last_version(database: AsyncEngine) -> None:
    taken = await versions.next_version(database)
    assert (await versions.database_origin(database)).version == taken
    await execute(database, "SELECT setval('smarttrip.index_version', 5)")
    assert (await versions.database_origin(database)).version < taken
    await execute(database, "SELECT setval('smarttrip.index_version', :number)", number=taken & ((1 << 48) - 1))
