"""What a process holds while it serves; handlers find it, typed, in `request.state`."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request

from app.access.authentication import Identity
from app.access.rate_limiter import RateLimits
from app.backends import factory
from app.backends.circuit_breaker import Breaker
from app.backends.database import Database
from app.cache import Cache
from app.cache.fast_path import KeptTargets
from app.cache.subscriber import running_cache
from app.http.raw_response import Fields
from app.http.timeouts import Deadlines, watched_deadlines
from app.lifecycle.readiness import Readiness, readying
from app.lifecycle.shutdown import Draining, draining_on_sigterm
from app.observability.metrics import forget_this_process
from app.observability.request_metrics import telling
from app.recommendations.elasticsearch_search import IndexSearch
from app.recommendations.postgres_search import DatabaseSearch
from app.recommendations.request_index import AskedBefore
from app.recommendations.service import Answers
from app.server.admission import Load, watched_load
from app.tracking.producer import Intake
from app.tracking.request_log_buffer import RequestLogs, running_request_logs
from core.business_date import Clock, business_clock
from core.settings import Settings


class State(TypedDict):
    settings: Settings
    today: Clock
    database: Database
    elasticsearch: AsyncElasticsearch
    redis: Redis
    breakers: Mapping[str, Breaker]
    """By the names of the dependencies."""
    cache: Cache
    kept_targets: KeptTargets
    asked_before: AskedBefore
    answers: Answers
    rate_limits: RateLimits
    intake: Intake
    request_logs: RequestLogs
    readiness: Readiness
    draining: Draining
    load: Load
    deadlines: Deadlines
    request_id: str
    fields: Fields
    """Both set for each request at the edge."""
    body: bytes | None
    """None until it has been read, by `app.http.requests.read_body`."""
    identity: Identity | None
    """None until somebody asks; read it with `app.access.authentication.identity`."""


REPLICA_BEHIND_SECONDS = 10.0
"""How old a replica's state can be while it is still used: its lag, and the time since that was checked."""

ApiRequest = Request[State]


def lifespan(settings: Settings) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def hold(app: Starlette) -> AsyncIterator[State]:
        with draining_on_sigterm(settings.drain_seconds) as draining:
            async with _serving(settings, draining) as state:
                yield state

    return hold


@asynccontextmanager
async def _serving(settings: Settings, draining: Draining) -> AsyncIterator[State]:
    database, elasticsearch, searches, redis = (
        factory.database(settings),
        factory.elasticsearch(settings),
        factory.searches(settings),
        factory.redis(settings),
    )
    index = IndexSearch(searches, settings.elasticsearch_alias, cached=settings.answer_cache_seconds > 0)
    readiness = Readiness(elasticsearch, settings.elasticsearch_alias, database, draining)
    settle_seconds = REPLICA_BEHIND_SECONDS if settings.database_replica_urls else 0.0
    try:
        intake = Intake(redis, database, settings.tracking_limit)
        async with (
            running_cache(redis, settle_seconds=settle_seconds) as cache,
            running_request_logs(intake) as request_logs,
            readying(readiness),
            telling(),
            watched_load(settings.max_requests_in_flight) as load,
            watched_deadlines() as deadlines,
        ):
            yield State(
                settings=settings,
                today=business_clock(settings),
                database=database,
                elasticsearch=elasticsearch,
                redis=redis.client,
                breakers={"postgres": database.breaker, "redis": redis.breaker, "elasticsearch": index.breaker},
                cache=cache,
                answers=Answers(
                    cache,
                    database,
                    index,
                    DatabaseSearch(database, max_candidates=settings.fallback_candidates),
                    keep_seconds=settings.answer_cache_seconds,
                ),
                rate_limits=RateLimits(redis, settings),
                intake=intake,
                request_logs=request_logs,
                readiness=readiness,
                draining=draining,
                load=load,
                deadlines=deadlines,
                request_id="",
                fields={},
                body=None,
                kept_targets=KeptTargets(),
                asked_before=AskedBefore(),
                identity=None,
            )
    finally:
        forget_this_process()
        await redis.close()
        searches.close()
        await elasticsearch.close()
        await database.close()
