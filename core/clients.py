"""Create the clients of Postgres, Elasticsearch and Redis. Every call has a timeout; a client connects on first use."""

import json
import logging
from typing import Any

import orjson
from elasticsearch import AsyncElasticsearch, OrjsonSerializer, SerializationError
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.concurrency.resource_limits import DEFAULTS
from core.configuration.postgres_url import parse_postgres_url
from core.configuration.settings import Settings
from core.dependency_calls import Call
from core.elasticsearch_node import ClusterNode, TimedNode
from core.postgres.connection import connect
from core.postgres.driver_connection import PostgresConnection
from core.postgres.pool import MeteredPool, ping_by_one_query
from core.postgres.statement_timing import measure_statements
from core.redis_connection import RedisPool

KEPT_STATEMENTS = 50
"""Prepared statements of a connection to Postgres: more than requests of web clients, or the worker's batches, need."""


def postgres(  # noqa: PLR0913  # each is independent of the others
    url: str,
    *,
    pool_size: int = DEFAULTS.postgres_connections,
    pool_timeout: float = DEFAULTS.postgres_pool_seconds,
    connect_timeout: float = DEFAULTS.postgres_connect_seconds,
    command_timeout: float | None = DEFAULTS.postgres_statement_seconds,
    kept_statements: int = 0,
) -> AsyncEngine:
    """Create a Postgres engine with a pool.

    Timeouts are in seconds; `connect_timeout` applies to each host of the URL, `command_timeout` to each statement.
    """
    engine = postgres_engine(
        url,
        connect_timeout=connect_timeout,
        command_timeout=command_timeout,
        kept_statements=kept_statements,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        pool_recycle=1800,
        pool_pre_ping=True,
        poolclass=MeteredPool,
    )
    ping_by_one_query(engine)
    return engine


def postgres_engine(
    url: str,
    *,
    connect_timeout: float = DEFAULTS.postgres_connect_seconds,
    command_timeout: float | None = None,
    kept_statements: int = 0,
    **options: Any,
) -> AsyncEngine:
    """Create a Postgres engine with these options of SQLAlchemy. Raises: PostgresUrlError."""
    address = parse_postgres_url(url)
    host, port = address.hosts[0] if address.hosts else (None, None)

    async def create(**_: Any) -> PostgresConnection:
        return await connect(
            address, seconds=connect_timeout, command_timeout=command_timeout, kept_statements=kept_statements
        )

    engine = create_async_engine(
        # The connections are made from the address; this is what the engine is called.
        URL.create("postgresql+asyncpg", address.user, address.password, host, port, address.database),
        # Errors are logged, and parameters contain personal data.
        hide_parameters=True,
        connect_args={"async_creator_fn": create, "prepared_statement_cache_size": 0},
        **options,
    )
    measure_statements(engine.sync_engine)
    return engine


UNAVAILABLE_STATUSES = frozenset((429, 502, 503, 504))
"""Statuses by which a node of Elasticsearch says that it cannot respond now; later, or another one, may."""


class LenientSerializer(OrjsonSerializer):
    """Reads what orjson rejects as well: one document with a number beyond 1e308 must not cost a whole page."""

    def loads(self, data: bytes) -> Any:
        """Decode a response. Raises: SerializationError, without the data, which may be megabytes of documents."""
        try:
            return orjson.loads(data)
        except ValueError:
            try:
                return json.loads(data, parse_int=float)
            except (ValueError, RecursionError) as error:
                raise SerializationError(f"no JSON: {type(error).__name__}") from None


def elasticsearch(
    url: str,
    *,
    timeout: float = DEFAULTS.elasticsearch_seconds,
    max_retries: int = 1,
    connections_per_node: int = DEFAULTS.elasticsearch_connections,
    **access: Any,
) -> AsyncElasticsearch:
    """Create an Elasticsearch client of one URL, or of several of one cluster that are separated by commas.

    `timeout` is in seconds, per attempt. Only broken connections, and of several nodes one that stalls, are retried, on
    the next node if there is one; timeouts and error responses are not. `access` are further options of the client.
    """
    # A log line for each request is noise, and costs as much as a small request itself.
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)
    urls = url.split(",")
    return AsyncElasticsearch(
        urls,
        node_class=TimedNode if len(urls) == 1 else ClusterNode,
        serializers={"application/vnd.elasticsearch+json": LenientSerializer()},
        connections_per_node=connections_per_node,
        request_timeout=timeout,
        max_retries=max(max_retries, len(urls) - 1),
        retry_on_status=(),
        retry_on_timeout=False,
        **access,
    )


def own_elasticsearch(settings: Settings, *, timeout: float, **options: Any) -> AsyncElasticsearch:
    """Create an Elasticsearch client with the addresses, credentials and certificates of the settings.

    `timeout` and `options` are as of `elasticsearch`.
    """
    url, ca_file = settings.elasticsearch_url, settings.elasticsearch_ca_file
    # The client refuses certificates for plain HTTP.
    if ca_file is not None and url.startswith("https:"):
        options["ca_certs"] = ca_file
    return elasticsearch(url, timeout=timeout, api_key=elasticsearch_key(settings), **options)


def elasticsearch_key(settings: Settings) -> str | None:
    key = settings.elasticsearch_api_key
    return None if key is None else key.get_secret_value()


BLOCKING = frozenset({"XREAD"})
"""Commands that wait for something to arrive: their duration says nothing of Redis."""


class TimedPipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        with Call("redis", "pipeline"):
            return await super().execute(raise_on_error)


class TimedRedis(Redis):
    async def execute_command(self, *command: Any, **options: Any) -> Any:
        name: str = command[0]
        if name in BLOCKING:
            return await super().execute_command(*command, **options)  # type: ignore[no-untyped-call]
        with Call("redis", name.lower()):
            return await super().execute_command(*command, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> TimedPipeline:
        return TimedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def redis_database(client: Redis) -> int:
    """Return the number of the database that the client's connections select."""
    database: int = client.connection_pool.connection_kwargs.get("db", 0)
    return database


def redis_key(client: Redis, name: str) -> str:
    """Return the key, or channel, of this name: several installations may share a Redis, each with a prefix."""
    pool = client.connection_pool
    return pool.key_prefix + name if isinstance(pool, RedisPool) else name


def redis(
    url: str,
    *,
    prefix: str = "",
    timeout: float = DEFAULTS.redis_seconds,
    max_connections: int = DEFAULTS.redis_connections,
) -> Redis:
    """Create a Redis client, whose keys begin with `prefix`.

    `timeout` in seconds applies to the wait for a connection, to connecting, and to each command.
    """
    pool = RedisPool.open(
        url,
        prefix=prefix,
        max_connections=max_connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # One immediate retry: the server may have closed a connection while it was idle in the pool.
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )
    return TimedRedis.from_pool(pool)


def own_redis(settings: Settings, *, timeout: float) -> Redis:
    """Create a Redis client for the keys of this installation; `timeout` as of `redis`."""
    return redis(settings.redis_url, prefix=settings.redis_prefix, timeout=timeout)
