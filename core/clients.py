"""Clients of the three servers, with time-outs on everything; none of them connects before it is used."""

import logging
from collections.abc import Iterable
from typing import Any

import asyncpg
from elastic_transport import AiohttpHttpNode
from elasticsearch import AsyncElasticsearch, OrjsonSerializer
from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.timeouts import DEFAULTS


class PostgresConnection(asyncpg.Connection):
    """For every client of Postgres: one that breaks while it is set up raises what one that can't connect does."""

    async def set_type_codec(self, *arguments: Any, **named: Any) -> None:
        """Raises ConnectionError: SQLAlchemy calls this for each new connection and passes on what asyncpg raises."""
        try:
            await super().set_type_codec(*arguments, **named)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ConnectionError(str(error)) from error


def postgres(
    url: str,
    *,
    pool_size: int = DEFAULTS.postgres_connections,
    pool_timeout: float = DEFAULTS.postgres_pool_seconds,
    connect_timeout: float = DEFAULTS.postgres_connect_seconds,
    command_timeout: float | None = DEFAULTS.postgres_statement_seconds,
) -> AsyncEngine:
    """`url` starts with postgresql+asyncpg://; the time-outs are in seconds, `command_timeout` holds per statement."""
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        pool_recycle=1800,
        pool_pre_ping=True,
        # Errors are logged, and parameters hold what people have told of themselves.
        hide_parameters=True,
        connect_args={
            "connection_class": PostgresConnection,
            "timeout": connect_timeout,
            "command_timeout": command_timeout,
            # A pooler in transaction mode may give each transaction another server connection:
            # nothing may be remembered on one. Without a cache asyncpg gives its statements no names either.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "server_settings": {"application_name": "smarttrip"},
        },
    )


def elasticsearch(
    url: str,
    *,
    timeout: float = DEFAULTS.elasticsearch_seconds,
    max_retries: int = 1,
    connections_per_node: int = DEFAULTS.elasticsearch_connections,
) -> AsyncElasticsearch:
    """`timeout` is in seconds, per attempt. Only a broken connection is tried again, never a time-out or a refusal."""
    # One line for each request is noise, and costs as much as a small request itself.
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)
    return AsyncElasticsearch(
        url,
        node_class=AiohttpHttpNode,
        serializers={"application/vnd.elasticsearch+json": OrjsonSerializer()},
        connections_per_node=connections_per_node,
        request_timeout=timeout,
        max_retries=max_retries,
        retry_on_status=(),
        retry_on_timeout=False,
    )


class RedisConnection(Connection):
    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Raises ConnectionError of Redis where uvloop says in its own way that the connection has just broken."""
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error


def redis_database(client: Redis) -> int:
    """Return the number of the database that the client's connections select."""
    database: int = client.connection_pool.connection_kwargs.get("db", 0)
    return database


def redis_pool(url: str, **options: Any) -> BlockingConnectionPool:
    """For every client of Redis: what its connections raise is Redis's, under uvloop too."""
    return BlockingConnectionPool.from_url(url, connection_class=RedisConnection, **options)


def redis(
    url: str, *, timeout: float = DEFAULTS.redis_seconds, max_connections: int = DEFAULTS.redis_connections
) -> Redis:
    """`timeout` is in seconds, for a connection from the pool, for connecting and for each command."""
    pool = redis_pool(
        url,
        max_connections=max_connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # Once more, at once: a connection that the server closed while it lay in the pool.
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )
    return Redis.from_pool(pool)
