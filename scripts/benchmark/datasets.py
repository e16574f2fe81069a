"""Sample catalogues of several sizes, created once in the data folder of the benchmark's services."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import asyncpg
from sqlalchemy import text

import migrations
from core.configuration.settings import Settings, load_settings
from indexer.backends import open_backends
from indexer.rebuild.reindex import reindex
from schemas.tables import OutboxRow
from scripts import sample_data
from scripts.benchmark.load.workload import Ids

SEED = 1


@dataclass(frozen=True)
class Catalogue:
    size: int
    env: dict[str, str]
    ids: Ids
    settings: Settings
    reindex_seconds: float


def catalogue(size: int, services: dict[str, str], today: date) -> Catalogue:
    """Prepare the database, and build its index."""
    settings = create_database(size, services, today)
    built = asyncio.run(reindex(settings, lambda _progress: None))
    env = _environment(size, services, today)
    return Catalogue(size, env, asyncio.run(_ids(env["DATABASE_URL"], today)), settings, built.seconds)


def create_database(size: int, services: dict[str, str], today: date) -> Settings:
    """Create, migrate and seed the database where an earlier run has not, and return the settings that lead to it."""
    env = _environment(size, services, today)
    settings = load_settings(**{variable.lower(): value for variable, value in env.items()})
    asyncio.run(_create_if_missing(services["DATABASE_URL"], _name(size)))
    migrations.upgrade(settings.direct_url)
    if not asyncio.run(sample_data.has_departures(settings.direct_url)):
        asyncio.run(sample_data.seed(settings.direct_url, size, SEED, today=today))
    return settings


def _name(size: int) -> str:
    return f"bench_{size}"


def _environment(size: int, services: dict[str, str], today: date) -> dict[str, str]:
    name = _name(size)
    server, _, _ = services["DATABASE_URL"].rpartition("/")
    return {
        **services,
        "DATABASE_URL": f"{server}/{name}",
        "ELASTICSEARCH_ALIAS": name,
        "REDIS_PREFIX": f"{name}:",
        "TODAY": today.isoformat(),
        "RATE_LIMIT_ENABLED": "false",
        "LOG_LEVEL": "warning",
        # No worker reads the stream of events and request logs.
        "TRACKING_LIMIT": "10000000",
    }


async def _create_if_missing(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        with suppress(asyncpg.DuplicateDatabaseError):
            await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


async def clear_outbox(settings: Settings) -> None:
    """Remove the outbox rows of the sample data: the index has these changes, and no worker runs that would see it."""
    async with open_backends(settings) as backends, backends.postgres.begin() as connection:
        # To delete those of a million departures takes longer than a statement may.
        await connection.execute(text(f"TRUNCATE {OutboxRow.__table__}"))


async def _ids(url: str, today: date) -> Ids:
    connection = await asyncpg.connect(url)
    try:
        countries, types, themes = [
            [row["id"] for row in await connection.fetch(query)]
            for query in (
                "SELECT DISTINCT primary_country_id AS id FROM trip_templates WHERE primary_country_id IS NOT NULL"
                " ORDER BY id",
                "SELECT id FROM trip_types ORDER BY id",
                "SELECT id FROM tags ORDER BY id",
            )
        ]
    finally:
        await connection.close()
    return Ids(countries, types, themes, today.year)
