"""What a process holds while it serves; handlers find it, typed, in `request.state`."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request

from app.access.authentication import Identity
from app.access.rate_limiter import RateLimiter
from app.backends import factory
from app.backends.circuit_breaker import CircuitBreaker
from app.backends.database import Database
from app.cache import ResponseCache
from app.cache.fast_path import CachedGetIndex
from app.cache.subscriber import open_cache
from app.http.raw_response import RequestHeaders
from app.http.timeouts import Deadlines, watched_deadlines
from app.lifecycle.readiness import ReadinessProbe, logging_until_ready
from app.lifecycle.shutdown import DrainState, drain_on_sigterm
from app.observability.metrics import mark_process_dead
from app.observability.request_metrics import flushing
from app.recommendations.elasticsearch_search import ElasticsearchTripSearch
from app.recommendations.postgres_search import PostgresTripSearch
from app.recommendations.request_index import RawRequestIndex
from app.recommendations.service import RecommendationService
from app.server.admission import AdmissionController, running_admission
from app.tracking.producer import TrackingProducer
from app.tracking.request_log_buffer import RequestLogBuffer, running_request_log_buffer
from core.business_date import BusinessDateProvider, business_date_provider
from core.settings import Settings


class State(TypedDict):
    settings: Settings
    today: BusinessDateProvider
    database: Database
    elasticsearch: AsyncElasticsearch
    redis: Redis
    breakers: Mapping[str, CircuitBreaker]
    """By the names of the dependencies."""
    cache: ResponseCache
    kept_targets: CachedGetIndex
    asked_before: RawRequestIndex
    answers: RecommendationService
    rate_limits: RateLimiter
    intake: TrackingProducer
    request_logs: RequestLogBuffer
    readiness: ReadinessProbe
    draining: DrainState
    load: AdmissionController
    deadlines: Deadlines
    request_id: str
    fields: RequestHeaders
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
        with drain_on_sigterm(settings.drain_seconds) as draining:
            async with _serving(settings, draining) as state:
                yield state

    return hold


@asynccontextmanager
async def _serving(settings: Settings, draining: DrainState) -> AsyncIterator[State]:
    database, elasticsearch, searches, redis = (
        factory.database(settings),
        factory.elasticsearch(settings),
        factory.search_http_client(settings),
        factory.redis(settings),
    )
    index = ElasticsearchTripSearch(searches, settings.elasticsearch_alias, cached=settings.answer_cache_seconds > 0)
    readiness = ReadinessProbe(elasticsearch, settings.elasticsearch_alias, database, draining)
    settle_seconds = REPLICA_BEHIND_SECONDS if settings.database_replica_urls else 0.0
    try:
        intake = TrackingProducer(redis, database, settings.tracking_limit)
        async with (
            open_cache(redis, settle_seconds=settle_seconds) as cache,
            running_request_log_buffer(intake) as request_logs,
            logging_until_ready(readiness),
            flushing(),
            running_admission(settings.max_requests_in_flight) as load,
            watched_deadlines() as deadlines,
        ):
            yield State(
                settings=settings,
                today=business_date_provider(settings),
                database=database,
                elasticsearch=elasticsearch,
                redis=redis.client,
                breakers={"postgres": database.breaker, "redis": redis.breaker, "elasticsearch": index.breaker},
                cache=cache,
                answers=RecommendationService(
                    cache,
                    database,
                    index,
                    PostgresTripSearch(database, max_candidates=settings.fallback_candidates),
                    keep_seconds=settings.answer_cache_seconds,
                ),
                rate_limits=RateLimiter(redis, settings),
                intake=intake,
                request_logs=request_logs,
                readiness=readiness,
                draining=draining,
                load=load,
                deadlines=deadlines,
                request_id="",
                fields={},
                body=None,
                kept_targets=CachedGetIndex(),
                asked_before=RawRequestIndex(),
                identity=None,
            )
    finally:
        mark_process_dead()
        await redis.close()
        searches.close()
        await elasticsearch.close()
        await database.close()
