"""Which backends a process needs to serve requests of its roles."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol

from elastic_transport import TransportError
from elasticsearch import ApiError as ElasticsearchError
from elasticsearch import AsyncElasticsearch

from app.backends.database import Database
from app.backends.index_freshness import IndexFreshnessMonitor
from app.backends.labels import SEARCH_INDEX_LABEL
from app.backends.redis import ResilientRedis
from app.http.errors import ApiError
from core.configuration.settings import Settings
from core.errors import BackendError, BackendUnavailableError, ExpectedError
from schemas.api.errors import ErrorCode
from schemas.index_document import versioned_aliases
from schemas.messages.message import Message

INDEX_SECONDS = 0.75
"""Seconds within which Elasticsearch has to respond."""

STARTUP_GRACE_SECONDS = 30.0
"""How long a new process insists on a reachable index before the database alone makes it ready."""


class RequiredBackends(Protocol):
    def check(self) -> Awaitable[None]:
        """Return if requests can be served. Raises: ApiError 503 or BackendUnavailableError, saying what is missing."""


class SearchBackends:
    """What searches need: first the index, and from then on the index or the database.

    A process that has never reached the index is not ready while the index is missing. If Elasticsearch is down, the
    database makes the process ready after `STARTUP_GRACE_SECONDS`.

    While there is an index of another document version, another release serves: a process whose own index is missing or
    is not fed any more is not ready.
    """

    def __init__(
        self, elasticsearch: AsyncElasticsearch, feed: IndexFreshnessMonitor, settings: Settings, database: Database
    ) -> None:
        self._elasticsearch = elasticsearch
        self._feed = feed
        self._settings = settings
        self._database = database
        self._was_ready = False
        self._started_at = time.monotonic()

    async def check(self) -> None:
        if self._feed.is_stale:
            raise not_ready("no_index", Message("index_not_fed"))
        try:
            await self._check_index()
            self._was_ready = True
        except ExpectedError as error:
            # An index that goes down later must not make all processes unready: they still have the fallback.
            if not self._was_ready and (error.code == "no_index" or self._is_starting):
                raise
            if error.code == "no_index" and await self._has_alias(
                versioned_aliases(self._settings.elasticsearch_alias)
            ):
                raise
            await self._database.ping()

    @property
    def _is_starting(self) -> bool:
        return time.monotonic() - self._started_at < STARTUP_GRACE_SECONDS

    async def _check_index(self) -> None:
        if not await self._has_alias(self._settings.search_alias):
            raise not_ready("no_index", Message("index_not_built"))

    async def _has_alias(self, name: str) -> bool:
        """Return whether an index has the alias, which may contain a wildcard. Raises: BackendUnavailableError."""
        try:
            # `exists_alias` is true of any wildcard.
            async with asyncio.timeout(INDEX_SECONDS):
                found = await self._elasticsearch.options(ignore_status=404).indices.get_alias(name=name)
            return "error" not in found and bool(found.body)
        except (ElasticsearchError, TransportError, TimeoutError):
            raise BackendUnavailableError(SEARCH_INDEX_LABEL) from None


class StoreBackends:
    """What the other roles need: the database, or Redis, which has cached responses and accepts events."""

    def __init__(self, database: Database, redis: ResilientRedis) -> None:
        self._database = database
        self._redis = redis

    async def check(self) -> None:
        try:
            await self._database.ping()
        except BackendError:
            await self._redis.call(self._redis.client.ping)


def not_ready(code: ErrorCode, message: Message) -> ApiError:
    return ApiError(503, code, message, headers={"Retry-After": "2"})
