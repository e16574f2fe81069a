"""The parts of the preflight: each compares one server with what the release needs and describes each difference."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from core import clients
from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from indexer.errors import AliasAmbiguousError, AliasNameTakenError, DirectUrlMismatchError
from indexer.index.direct_url import check_same_database
from indexer.preflight.postgres_server import find_server_differences
from indexer.preflight.redis_server import find_redis_differences
from indexer.preflight.search_index import find_index_differences
from migrations.inspection import find_differences

log = structlog.get_logger()

SECONDS = 10.0
"""Longest time that a part may delay the start."""

SET_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '1s'")
"""A comparison must not wait for a lock on a table of the platform, where others would wait behind it."""


async def compare_database(settings: Settings) -> list[str]:
    """Compare tables, columns, types, triggers, indexes and rights."""
    async with database_connection(settings) as connection:
        return await connection.run_sync(find_differences)


async def compare_postgres(settings: Settings) -> list[str]:
    """Compare the server, and whether both URLs lead to the same database."""
    async with database_connection(settings) as connection:
        differences = await find_server_differences(connection, settings)
    try:
        await check_same_database(settings)
    except DirectUrlMismatchError as error:
        differences.append(str(error))
    return differences


async def compare_redis(settings: Settings) -> list[str]:
    async with clients.own_redis(settings, timeout=settings.background_redis_seconds) as redis:
        return await find_redis_differences(redis)


async def compare_index(settings: Settings) -> list[str]:
    async with clients.own_elasticsearch(settings, timeout=settings.background_redis_seconds) as es:
        try:
            return await find_index_differences(es, settings.search_alias, settings.elasticsearch_alias)
        except (AliasAmbiguousError, AliasNameTakenError) as error:
            return [str(error)]


@asynccontextmanager
async def database_connection(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Open a connection with a transaction that is rolled back."""
    engine = clients.postgres_engine(
        settings.database_url,
        connect_timeout=settings.postgres_connect_seconds,
        command_timeout=settings.background_statement_seconds,
        poolclass=NullPool,
    )
    async with engine.connect() as connection:
        await connection.execute(SET_LOCK_TIMEOUT)
        yield connection


PARTS: Mapping[str, Callable[[Settings], Awaitable[list[str]]]] = {
    "database": compare_database,
    "postgres": compare_postgres,
    "redis": compare_redis,
    "index": compare_index,
}


async def compare(settings: Settings, part: str) -> list[str] | None:
    """Return the differences of a part, or None, which is logged, if they cannot be found out now."""
    try:
        async with asyncio.timeout(SECONDS):
            return await PARTS[part](settings)
    except (PostgresError, *BACKEND_ERRORS) as error:
        log.warning("not_compared", part=part, error=type(error).__name__)
        return None
