import asyncio
from collections.abc import Iterator
from datetime import date

import asyncpg
import pytest

import migrations
from core.configuration.settings import Settings
from migrations.revision import check_revision
from scripts.benchmark import datasets
from tests.conftest import plain

SIZE = 61
TODAY = date(2026, 11, 24)


@pytest.fixture
def services(services: Settings) -> Iterator[dict[str, str]]:
    """Yield the addresses of the services, without the benchmark's database there."""
    urls = {
        "DATABASE_URL": plain(services.database_url),
        "REDIS_URL": services.redis_url,
        "ELASTICSEARCH_URL": services.elasticsearch_url,
    }
    drop = f"DROP DATABASE IF EXISTS {datasets._name(SIZE)} WITH (FORCE)"
    asyncio.run(execute(urls["DATABASE_URL"], drop))
    yield urls
    asyncio.run(execute(urls["DATABASE_URL"], drop))


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def count_departures(url: str) -> int:
    connection = await asyncpg.connect(url)
    count: int = await connection.fetchval("SELECT count(*) FROM trip_occurrences")
    await connection.close()
    return count


@pytest.mark.slow
def test_database_of_an_interrupted_run_or_an_older_release_is_completed(services: dict[str, str]) -> None:
    asyncio.run(datasets._create_if_missing(services["DATABASE_URL"], datasets._name(SIZE)))
    settings = datasets.create_database(SIZE, services, TODAY)
    assert asyncio.run(count_departures(plain(settings.database_url))) == SIZE

    migrations.downgrade(settings.direct_url, "-1")
    datasets.create_database(SIZE, services, TODAY)
    asyncio.run(check_revision(settings.database_url, connect_seconds=10))
    assert asyncio.run(count_departures(plain(settings.database_url))) == SIZE
