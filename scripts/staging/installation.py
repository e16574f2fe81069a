"""An installation of its own beside production: database, keys and indexes with names that no other one has."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis

import migrations
from core import clients
from core.clients import redis_key
from core.configuration.postgres_url import parse_postgres_url
from core.configuration.settings import Settings, load_settings
from core.postgres.connection import connect
from indexer.errors import IndexOwnedError, RedisOwnedError
from indexer.index import admin
from indexer.index.ownership import check_indexes, check_installation, check_redis
from indexer.rebuild.reindex import reindex
from scripts.staging.anonymised_copy import copy_anonymised
from scripts.staging.own_database import check_own, create_database, database_name, drop_database, with_database

INSTALLATION = "SELECT id::text FROM smarttrip.installation"
MIGRATED = "SELECT to_regclass('smarttrip.installation') IS NOT NULL"

KEYS = ("smarttrip:*", "arq:*")
"""Patterns of all keys, behind the prefix."""

SETTINGS = (
    *("database_url", "database_direct_url", "database_replica_urls", "redis_url", "redis_prefix"),
    *("elasticsearch_url", "elasticsearch_alias"),
)
"""Settings that tell staging from production."""


@dataclass
class Dropped:
    """What was deleted."""

    database: str
    indexes: int = 0
    keys: int = 0


def staging_settings(production: Settings, name: str, **servers: str | None) -> Settings:
    """Return production's settings with names of staging, on the same servers but for those that are given.

    Raises: SettingsError.
    """
    own = with_database(production.direct_url, f"{database_name(production.direct_url)}_{name}")
    database = servers.get("database_url") or own
    return load_settings(
        database_url=database,
        database_direct_url=database,
        database_replica_urls=[],
        redis_url=servers.get("redis_url") or production.redis_url,
        redis_prefix=f"{production.redis_prefix}{name}:",
        elasticsearch_url=servers.get("elasticsearch_url") or production.elasticsearch_url,
        elasticsearch_alias=f"{name}_{production.elasticsearch_alias}",
    )


def variables(staging: Settings) -> dict[str, str]:
    """Return the variables that make a process one of staging's; an empty one replaces production's."""
    return {name.upper(): str(getattr(staging, name) or "") for name in SETTINGS}


async def create(production: Settings, staging: Settings, percent: int, announce: Callable[[str], None]) -> None:
    """Create the database with a copy of `percent` % of the templates, and its index.

    Raises: CliError, MigrationError, IndexerError, errors of the servers.
    """
    announce(f"Creating the database {database_name(staging.database_url)} ...")
    await create_database(staging.database_url)
    copied = await copy_anonymised(production.direct_url, staging.database_url, percent)
    announce(f"{copied['trip_occurrences']:,} departures of {copied['trip_templates']:,} templates are copied.")
    await asyncio.to_thread(migrations.upgrade, staging.database_url)
    announce("The database is migrated.")
    await check_installation(staging)
    report = await reindex(staging, lambda progress: None)
    announce(f"{report.name} is in use: {report.documents:,} departures.")


async def drop(staging: Settings, announce: Callable[[str], None]) -> Dropped:
    """Delete indexes, keys and database, the last at the end, so that it can be repeated.

    Indexes and keys of another installation are left: then `create` has failed at their names. Raises: CliError,
    errors of servers.
    """
    await check_own(staging.database_url)
    dropped = Dropped(database_name(staging.database_url))
    installation = await _read_installation(staging.database_url)
    if installation is not None:
        try:
            await _drop_names(staging, installation, dropped, announce)
        except (IndexOwnedError, RedisOwnedError) as error:
            announce(f"Keys and indexes are left: {error}")
    await drop_database(staging.database_url)
    announce(f"The database {dropped.database} is dropped.")
    return dropped


async def _drop_names(staging: Settings, installation: str, dropped: Dropped, announce: Callable[[str], None]) -> None:
    """Delete indexes and keys, and count them. Raises: IndexOwnedError, RedisOwnedError, errors of servers."""
    await check_redis(staging)
    async with clients.own_elasticsearch(staging, timeout=staging.background_index_seconds) as es:
        await check_indexes(es, staging.elasticsearch_alias, installation)
        dropped.indexes = await _drop_indexes(es, staging.elasticsearch_alias)
        announce(f"{dropped.indexes} indexes are deleted.")
    async with clients.own_redis(staging, timeout=staging.background_redis_seconds) as redis:
        dropped.keys = await _delete_keys(redis)
        announce(f"{dropped.keys} keys are deleted.")


async def _read_installation(url: str) -> str | None:
    """Return the id of the installation; None before its migration, when nothing but the database was made."""
    connection = await connect(parse_postgres_url(url))
    try:
        if not await connection.fetchval(MIGRATED):
            return None
        found: str | None = await connection.fetchval(INSTALLATION)
        return found
    finally:
        await connection.close()


async def _drop_indexes(es: AsyncElasticsearch, alias: str) -> int:
    """Delete the indexes of all document versions with their histories; return their number."""
    names = await es.indices.get(index=f"{alias}-v*", features="aliases", expand_wildcards="open,closed")
    versions = {found[1] for name in names if (found := re.match(rf"({re.escape(alias)}-v\d+)-", name))}
    own = [name for name in names for version in versions if admin.is_own_name(name, version)]
    await admin.drop(es, [name for name in own if not name.endswith("-history")])
    await admin.drop(es, [name for name in own if name.endswith("-history")])
    return len(own)


async def _delete_keys(redis: Redis) -> int:
    deleted = 0
    for pattern in KEYS:
        async for key in redis.scan_iter(match=redis_key(redis, pattern), count=1000):
            deleted += await redis.unlink(key)
    return deleted
