"""Names of staging are its own, and what it has not made is not removed."""

import asyncio

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core.configuration.settings import Settings
from indexer.index.ownership import check_installation
from schemas.redis_keys import INSTALLATION
from scripts.errors import CliError
from scripts.staging.installation import drop, staging_settings, variables
from scripts.staging.own_database import create_database, database_name, with_database
from tests.migrations.databases import execute, fetch

SEPARATE = ("DATABASE_URL", "REDIS_PREFIX", "ELASTICSEARCH_ALIAS")


@pytest.fixture
def production(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"database_replica_urls": ["postgresql://replica/smarttrip"], "redis_prefix": "eu:"}
    )


def test_names_are_made_of_productions(production: Settings) -> None:
    staging = staging_settings(production, "qa")
    assert database_name(staging.database_url) == f"{database_name(production.database_url)}_qa"
    assert (staging.redis_prefix, staging.elasticsearch_alias) == ("eu:qa:", f"qa_{production.elasticsearch_alias}")
    assert (staging.redis_url, staging.elasticsearch_url) == (production.redis_url, production.elasticsearch_url)


def test_variables_replace_every_way_to_productions_database(production: Settings) -> None:
    staging = staging_settings(production, "qa", redis_url="redis://elsewhere")
    printed = variables(staging)
    assert printed["DATABASE_DIRECT_URL"] == printed["DATABASE_URL"]
    assert (printed["DATABASE_REPLICA_URLS"], printed["REDIS_URL"]) == ("", "redis://elsewhere")
    assert all(printed[name] != str(getattr(production, name.lower())) for name in SEPARATE)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a:b@h1:1,h2:2/old?sslmode=require", "postgresql://a:b@h1:1,h2:2/new?sslmode=require"),
        ("postgresql://h?dbname=old", "postgresql://h/new"),
        ("postgresql://h/x?sslmode=require&db%6eame=old", "postgresql://h/new?sslmode=require"),
        ("postgres:///old", "postgres:///new"),
    ],
)
def test_database_is_replaced_in_every_form_of_url(url: str, expected: str) -> None:
    assert with_database(url, "new") == expected
    assert database_name(expected) == "new"


async def test_existing_database_is_not_filled_and_not_dropped(settings: Settings, target_url: str) -> None:
    await execute(target_url, "CREATE TABLE notes AS SELECT 7 AS id")
    with pytest.raises(CliError, match=r"There is a database .*_target already"):
        await create_database(target_url)
    staging = staging_settings(settings, "qa", database_url=target_url)
    with pytest.raises(CliError, match="was not made by smarttrip staging create"):
        await drop(staging, print)
    assert await fetch(target_url, "SELECT id FROM notes") == [(7,)]


async def test_names_of_another_installation_are_left_and_the_database_is_dropped(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    await check_installation(settings)
    owner = await redis.get(INSTALLATION)
    own = with_database(settings.database_url, f"{database_name(settings.database_url)}_names")
    staging = settings.model_copy(update={"database_url": own, "database_direct_url": own})
    await create_database(own)
    await asyncio.to_thread(migrations.upgrade, own)
    said: list[str] = []
    await drop(staging, said.append)
    assert [line.split(":")[0] for line in said[:1]] == ["Keys and indexes are left"]
    assert await redis.get(INSTALLATION) == owner
    with pytest.raises(CliError, match="There is no database"):
        await drop(staging, print)


async def test_missing_database_is_named(settings: Settings) -> None:
    with pytest.raises(CliError, match=r"There is no database .*_nowhere"):
        await drop(staging_settings(settings, "nowhere"), print)
