"""Health of the service: its dependencies, circuit breakers and row counts, checked once a second at most."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import structlog
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.database import Database
from app.backends.index_freshness import IndexFreshnessMonitor
from app.cache.response_cache import ResponseCache
from app.repositories.statistics import count_tables
from core.errors import BACKEND_ERRORS, BackendError
from indexer.index.closed_indices import AliasState, alias_state
from schemas.api.entities import to_json
from schemas.api.health import Breakers, Dependencies, DependencyState, Health, TableCounts

log = structlog.get_logger()

VERSION = version("smarttrip")

HEALTH_SECONDS = 1.0
"""Seconds for which all callers share one check: each takes a connection to Postgres that requests need."""

DEPENDENCY_TIMEOUT = 0.75
"""Seconds within which a dependency has to respond."""

COUNTS_TTL = 10.0
"""Seconds for which row counts are cached."""

INDEX_STATES: dict[AliasState, DependencyState] = {"open": "up", "closed": "closed", "missing": "no_index"}


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    database: Database
    redis: Redis
    elasticsearch: AsyncElasticsearch
    alias: str
    feed: IndexFreshnessMonitor
    cache: ResponseCache
    breakers: Mapping[str, CircuitBreaker]

    async def run(self) -> Health:
        """Check everything. A dependency that fails is down; nothing is raised."""
        checks = {
            "postgres": self._check_postgres(),
            "redis": self._check_redis(),
            "elasticsearch": self._check_elasticsearch(),
        }
        states = await asyncio.gather(*(_with_timeout(name, check) for name, check in checks.items()))
        dependencies = Dependencies(**dict(zip(checks, states, strict=True)))
        return Health(
            status=_status(dependencies),
            version=VERSION,
            database=await self._counts() if dependencies.postgres != "down" else TableCounts(),
            dependencies=dependencies,
            breakers=Breakers(**{name: breaker.state.name.lower() for name, breaker in self.breakers.items()}),
        )

    async def _check_postgres(self) -> DependencyState:
        await self.database.ping()
        return "incomplete" if self.database.columns.differences.are_disabling else "up"

    async def _check_redis(self) -> DependencyState:
        await self.redis.ping()
        return "up"

    async def _check_elasticsearch(self) -> DependencyState:
        if self.feed.is_stale:
            return "stale"
        state = await alias_state(self.elasticsearch, self.alias)
        if state == "closed":
            log.warning("index_closed", cure=f"a worker opens it within half a minute; else POST /{self.alias}*/_open")
        return INDEX_STATES[state]

    async def _counts(self) -> TableCounts:
        async def load() -> bytes:
            async with self.database.read() as session:
                return to_json(await count_tables(session))

        try:
            body = await self.cache.get("table-counts", frozenset(), load, COUNTS_TTL)
        except BackendError:
            return TableCounts()
        return TableCounts.model_validate_json(body.identity)


def _status(dependencies: Dependencies) -> Literal["healthy", "degraded", "unhealthy"]:
    index_up = dependencies.elasticsearch == "up"
    if index_up and dependencies.postgres == dependencies.redis == "up":
        return "healthy"
    return "degraded" if index_up or dependencies.postgres == "up" else "unhealthy"


async def _with_timeout(name: str, check: Awaitable[DependencyState]) -> DependencyState:
    try:
        async with asyncio.timeout(DEPENDENCY_TIMEOUT):
            return await check
    except (BackendError, *BACKEND_ERRORS) as error:
        log.warning("dependency_down", dependency=name, error=type(error).__name__)
        return "down"
