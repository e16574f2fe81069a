"""Create the clients of an API process, with timeouts and pool sizes from the settings."""

from typing import Any

from elasticsearch import AsyncElasticsearch
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from app.backends.failover_client import FailoverHttpClient, NodeClient
from app.backends.http_client import HttpClient
from app.backends.redis import ResilientRedis
from app.backends.replica_pool import replica_name
from core import clients
from core.configuration.settings import Settings
from core.postgres.pool import meter_pool

ADMIN_CONNECTIONS = 2
"""Connections to Elasticsearch for checks and administration; searches have their own."""


def database(settings: Settings) -> Database:
    def engine(url: str, name: str) -> AsyncEngine:
        engine = clients.postgres(
            url,
            pool_size=settings.postgres_connections,
            pool_timeout=settings.postgres_pool_seconds,
            connect_timeout=settings.postgres_connect_seconds,
            command_timeout=settings.postgres_statement_seconds,
            kept_statements=clients.KEPT_STATEMENTS,
        )
        meter_pool(engine, name)
        return engine

    replicas = [engine(url, replica_name(number)) for number, url in enumerate(settings.database_replica_urls)]
    return Database(engine(settings.database_url, "primary"), replicas, zone=settings.timezone)


def elasticsearch(settings: Settings) -> AsyncElasticsearch:
    """Create the client for everything except searches."""
    return clients.own_elasticsearch(
        settings, timeout=settings.elasticsearch_seconds, connections_per_node=ADMIN_CONNECTIONS
    )


def search_http_client(settings: Settings, connections: int | None = None) -> HttpClient | FailoverHttpClient:
    """Create a client with as many connections, by default those of the settings."""
    access: dict[str, Any] = {
        "seconds": settings.elasticsearch_seconds,
        "connections": connections or settings.elasticsearch_connections,
        "api_key": clients.elasticsearch_key(settings),
        "ca_file": settings.elasticsearch_ca_file,
    }
    urls = settings.elasticsearch_url.split(",")
    if len(urls) == 1:
        return HttpClient(urls[0], **access)
    return FailoverHttpClient([NodeClient(url, **access) for url in urls], seconds=settings.elasticsearch_seconds)


def redis(settings: Settings) -> ResilientRedis:
    client = clients.redis(
        settings.redis_url,
        prefix=settings.redis_prefix,
        timeout=settings.redis_seconds,
        max_connections=settings.redis_connections,
    )
    return ResilientRedis(client, seconds=settings.redis_seconds)
