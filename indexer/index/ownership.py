"""Marks of the installation that owns the keys in Redis and the indexes in Elasticsearch.

Two installations with the same names on the same servers would serve each other's trips, store each other's visitors
and rebuild each other's index. The first that starts marks the names as its own; keys and indexes without a mark, of
earlier releases, become its own too.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from asyncpg import PostgresError
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from core import clients
from core.clients import redis_key
from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from indexer.backends import Backends
from indexer.errors import IndexOwnedError, RedisClusterError, RedisOwnedError
from schemas.redis_keys import INSTALLATION
from schemas.tables import Installation

log = structlog.get_logger()

OWNER = "installation"
"""Key of the mark in an index's `_meta`."""

WATCH_SECONDS = 30.0
"""Pause between two claims of the keys in Redis, which may be emptied meanwhile."""


def suggested_name(installation: str) -> str:
    """Return a name that no other installation has."""
    return f"trips-{installation[:8]}"


async def claim_redis(redis: Redis, installation: str) -> None:
    """Mark the keys as this installation's, unless they are another's. Raises: RedisOwnedError, RedisError."""
    owner = await redis.set(redis_key(redis, INSTALLATION), installation, nx=True, get=True)
    if owner is not None and owner.decode(errors="replace") != installation:
        raise RedisOwnedError(f"{suggested_name(installation)}:")


async def adopt_redis(redis: Redis, installation: str) -> None:
    """Take ownership of the keys, even if another installation owns them. Raises: RedisError."""
    await redis.set(redis_key(redis, INSTALLATION), installation)


async def check_indexes(es: AsyncElasticsearch, alias: str, installation: str) -> None:
    """Return if no index of any document version of the alias is another installation's.

    Raises: IndexOwnedError, and errors of Elasticsearch.
    """
    if any(meta.get(OWNER, installation) != installation for meta in (await _read_metas(es, alias)).values()):
        raise IndexOwnedError(alias, suggested_name(installation))


async def claim_indexes(es: AsyncElasticsearch, alias: str, installation: str) -> None:
    """Mark indexes without a mark as this installation's. Raises: IndexOwnedError, and errors of Elasticsearch."""
    await check_indexes(es, alias, installation)
    await adopt_indexes(es, alias, installation)


async def claim(backends: Backends) -> None:
    """Mark the indexes of the backends' alias as this installation's. Raises: IndexOwnedError, and server errors."""
    alias = re.sub(r"-v\d+$", "", backends.alias)
    await claim_indexes(backends.elasticsearch, alias, await _installation_of(backends.postgres))


async def own_mark(backends: Backends) -> dict[str, str]:
    """Return what marks a new index in its `_meta` as this installation's."""
    return {OWNER: await _installation_of(backends.postgres)}


async def adopt_indexes(es: AsyncElasticsearch, alias: str, installation: str) -> list[str]:
    """Mark all indexes of the alias as this installation's; return the names of those that were not.

    Raises: errors of Elasticsearch.
    """
    others = {name: meta for name, meta in (await _read_metas(es, alias)).items() if meta.get(OWNER) != installation}
    for name, meta in others.items():
        await es.indices.put_mapping(index=name, meta={**meta, OWNER: installation})
    return [*others]


async def _read_metas(es: AsyncElasticsearch, alias: str) -> dict[str, Mapping[str, Any]]:
    """Return the `_meta` of the alias's indexes, open or closed, by name."""
    ours = re.compile(rf"{re.escape(alias)}-v\d+-\d{{20}}")
    found = await es.indices.get_mapping(index=f"{alias}-v*", expand_wildcards="open,closed")
    return {name: index["mappings"].get("_meta", {}) for name, index in found.body.items() if ours.fullmatch(name)}


async def check_installation(settings: Settings) -> None:
    """Return if this installation may use the names that its settings give it on the servers.

    A server that cannot be reached now is left out, which is logged. Raises: IndexOwnedError, RedisOwnedError.
    """
    with _logging_unreachable():
        await check_redis(settings)
    with _logging_unreachable():
        installation = await _read_own(settings)
        async with clients.own_elasticsearch(settings, timeout=settings.elasticsearch_seconds) as es:
            await check_indexes(es, settings.elasticsearch_alias, installation)


async def check_redis(settings: Settings) -> None:
    """Return if the keys in Redis are on one server, and not another installation's.

    Raises: RedisOwnedError, RedisClusterError, errors of the servers.
    """
    await check_single_server(settings)
    installation = await _read_own(settings)
    async with clients.own_redis(settings, timeout=settings.background_redis_seconds) as redis:
        await claim_redis(redis, installation)


async def check_single_server(settings: Settings) -> None:
    """Return if all keys are on one server. Raises: RedisClusterError, RedisError."""
    async with clients.own_redis(settings, timeout=settings.background_redis_seconds) as redis:
        # A cluster refuses connections to any other database, with a reason that does not name it.
        redis.connection_pool.connection_kwargs["db"] = 0
        try:
            is_cluster = (await redis.info("cluster")).get("cluster_enabled")
        except NoPermissionError:
            # A user without the right to ask: whoever set it up knows what it is.
            return
    if is_cluster:
        raise RedisClusterError


async def adopt(settings: Settings) -> list[str]:
    """Take over the names that the settings give, whosever they are; return the indexes that were not this one's.

    Raises: errors of the servers.
    """
    installation = await _read_own(settings)
    async with clients.own_redis(settings, timeout=settings.background_redis_seconds) as redis:
        await adopt_redis(redis, installation)
    async with clients.own_elasticsearch(settings, timeout=settings.background_index_seconds) as es:
        return await adopt_indexes(es, settings.elasticsearch_alias, installation)


async def watch_redis(redis: Redis, engine: AsyncEngine) -> None:
    """Claim the keys again and again, since Redis may be emptied, until cancelled. Raises: RedisOwnedError."""
    while True:
        with _logging_unreachable():
            await claim_redis(redis, await _installation_of(engine))
        await asyncio.sleep(WATCH_SECONDS)


async def _installation_of(engine: AsyncEngine) -> str:
    """Return the id of the installation with this database."""
    async with engine.connect() as connection:
        return str((await connection.scalars(select(Installation.id))).one())


async def _read_own(settings: Settings) -> str:
    engine = clients.postgres_engine(
        settings.database_url,
        connect_timeout=settings.postgres_connect_seconds,
        command_timeout=settings.postgres_connect_seconds,
        poolclass=NullPool,
    )
    try:
        return await _installation_of(engine)
    finally:
        await engine.dispose()


@contextmanager
def _logging_unreachable() -> Iterator[None]:
    try:
        yield
    except (PostgresError, *BACKEND_ERRORS) as error:
        log.warning("installation_not_compared", error=type(error).__name__)
