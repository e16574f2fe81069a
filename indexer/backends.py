"""Clients of Postgres and Elasticsearch for the indexer, with the longer timeouts of background work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

from elasticsearch import AsyncElasticsearch
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from core.postgres.platform_columns import DEFAULT_ZONE, PlatformColumns
from core.postgres.pool import meter_pool

POOL_SIZE = 10


@dataclass
class DatabaseHistory:
    """What this process has seen of the database, by which a batch notices that it was restored or replaced.

    Connections do not tell behind a pooler. A restore of files starts the server anew, one of a dump makes the sequence
    of versions anew or sets it back.
    """

    server: str | None = None
    """Start time of the server, and identity of the sequence, that were compared with the live index last."""
    version: int = 0
    """Version that the sequence was seen at last."""


@dataclass(frozen=True)
class Backends:
    postgres: AsyncEngine
    """The primary: a replica may lack the change that an outbox row stands for."""
    elasticsearch: AsyncElasticsearch
    alias: str
    """Alias of the live index of this program's document version; the names of its indexes begin with it."""
    public_alias: str | None = None
    """Alias, for people, of the index that was activated last, of whatever document version."""
    shards: int = 1
    """Number of shards of a new index."""
    zone: str = DEFAULT_ZONE
    """Time zone in which a day of the platform begins."""
    history: DatabaseHistory = field(default_factory=DatabaseHistory, compare=False)
    """What batches have seen of the database."""

    @cached_property
    def columns(self) -> PlatformColumns:
        return PlatformColumns(self.postgres, zone=self.zone)


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    postgres = clients.postgres(
        settings.database_url,
        pool_size=POOL_SIZE,
        pool_timeout=settings.background_pool_seconds,
        connect_timeout=settings.postgres_connect_seconds,
        command_timeout=settings.background_statement_seconds,
        kept_statements=clients.KEPT_STATEMENTS,
    )
    meter_pool(postgres, "primary")
    elasticsearch = clients.own_elasticsearch(settings, timeout=settings.background_index_seconds, max_retries=0)
    try:
        aliases = (settings.search_alias, settings.elasticsearch_alias)
        backends = Backends(
            postgres, elasticsearch, *aliases, shards=settings.elasticsearch_shards, zone=settings.timezone
        )
        await backends.columns.check()
        yield backends
    finally:
        await elasticsearch.close()
        await postgres.dispose()
