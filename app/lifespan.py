"""Start-up and shutdown of a process: create the components of `AppState`, and close them."""

from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from elasticsearch import AsyncElasticsearch
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.applications import Starlette

from app.access.rate_limiter import RateLimiter
from app.access.signing_keys import SigningKeys
from app.backends import factory
from app.backends.circuit_breaker import CircuitBreaker
from app.backends.database import REPLICA_SECONDS, Database
from app.backends.index_freshness import IndexFreshnessMonitor
from app.backends.redis import ResilientRedis
from app.backends.replica_pool import REPLICA_BEHIND_SECONDS
from app.cache.fast_path import FastPath
from app.cache.response_cache import PROCESS_SECONDS, ResponseCache
from app.cache.subscriber import open_cache
from app.lifecycle.health import HEALTH_SECONDS, HealthCheck
from app.lifecycle.readiness import ReadinessProbe, logging_until_ready
from app.lifecycle.required_backends import RequiredBackends, SearchBackends, StoreBackends
from app.lifecycle.shutdown import DrainState, drain_on_sigterm
from app.observability.request_metrics import current_metrics, flushing
from app.recommendations.evaluation import MAX_CONCURRENCY, EvaluationRunner
from app.recommendations.rollout.monitor import RolloutMonitor
from app.recommendations.service import RecommendationService
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.recommendations.trip_search.postgres import PostgresTripSearch
from app.server.admission import AdmissionController, running_admission
from app.server.connections import ConnectionLimit, connection_limit
from app.server.parsing_turns import ParsingTurns
from app.server.receiving_limit import ReceivingLimit, receiving_limit
from app.state import AppState
from app.tracking.producer import TrackingProducer
from app.tracking.request_log_buffer import running_request_log_buffer
from core.business_date import business_date_provider
from core.clock import watch_clock
from core.concurrency.shared_result import SharedResult
from core.concurrency.tasks import background_task
from core.configuration.roles import Role
from core.configuration.settings import Settings
from core.freed_memory import keep_trimmed
from core.process_metrics import watch_event_loop
from core.tracing.process import stopping_tracing
from indexer.invalidation_publisher import publish_all_changed
from schemas.api.health import Health

METRICS_SECONDS = 1.0
"""Seconds for which all callers share one rendering of the metrics."""

CACHING_ROLES: Set[Role] = frozenset({"recommendations", "resources"})
"""Roles whose processes cache responses, and receive the worker's invalidations."""


@dataclass(frozen=True, slots=True)
class Backends:
    """Clients of the servers that the process uses."""

    database: Database
    elasticsearch: AsyncElasticsearch
    redis: ResilientRedis
    search: ElasticsearchTripSearch
    evaluation_search: ElasticsearchTripSearch
    """With connections and a circuit breaker of its own."""
    feed: IndexFreshnessMonitor
    rollout: RolloutMonitor


def lifespan(
    settings: Settings,
    exempt_from_shedding: Set[str],
    search_endpoints: Set[tuple[str, str]],
    fast_path_endpoints: Mapping[tuple[str, str], Set[str]],
) -> Callable[[Starlette], AbstractAsyncContextManager[AppState]]:
    """Return the application's lifespan, which ends `drain_seconds` after SIGTERM.

    Requests for the paths `exempt_from_shedding` are never rejected. `search_endpoints` are methods and paths whose
    searches are limited. `fast_path_endpoints` are the query parameters of the endpoints that respond on the fast path,
    by method and path template.
    """

    @asynccontextmanager
    async def run(app: Starlette) -> AsyncIterator[AppState]:
        fast_path = FastPath(fast_path_endpoints)
        # Ends last: no request can begin a span any more.
        with stopping_tracing(), drain_on_sigterm(settings.drain_seconds) as draining:
            async with (
                _open_backends(settings) as backends,
                running_admission(
                    settings.max_requests_in_flight,
                    exempt_from_shedding,
                    search_endpoints=search_endpoints,
                    is_cached=fast_path.is_cached,
                ) as admission,
                _open_state(settings, backends, draining, admission, fast_path) as state,
            ):
                yield state

    return run


@asynccontextmanager
async def _open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Connect lazily: a server that is down does not keep the process from starting, or for a second only."""
    async with AsyncExitStack() as stack:
        database = factory.database(settings)
        stack.push_async_callback(database.close)
        await database.columns.check()
        elasticsearch = factory.elasticsearch(settings)
        stack.push_async_callback(elasticsearch.close)
        searches = stack.enter_context(closing(factory.search_http_client(settings)))
        redis = factory.redis(settings)
        stack.push_async_callback(redis.close)
        # Until a process sees the change it caches responses with the columns as they were.
        database.columns.on_change = partial(publish_all_changed, redis.client)
        feed, rollout = IndexFreshnessMonitor(database), RolloutMonitor(database, settings.scoring_weights)
        if "recommendations" in settings.roles:
            await stack.enter_async_context(background_task(feed.run()))
            await rollout.start()
            await stack.enter_async_context(background_task(rollout.run()))
        search = ElasticsearchTripSearch(
            searches, settings.search_alias, feed, cached=settings.answer_cache_seconds > 0
        )
        evaluations = stack.enter_context(closing(factory.search_http_client(settings, MAX_CONCURRENCY)))
        evaluation_search = ElasticsearchTripSearch(
            evaluations, settings.search_alias, feed, cached=False, dependency="evaluation"
        )
        yield Backends(database, elasticsearch, redis, search, evaluation_search, feed, rollout)


@asynccontextmanager
async def _open_state(
    settings: Settings,
    backends: Backends,
    draining: DrainState,
    admission: AdmissionController,
    fast_path: FastPath,
) -> AsyncIterator[AppState]:
    """Create the components, and run their background tasks."""
    database, redis, search = backends.database, backends.redis, backends.search
    readiness = ReadinessProbe(_required_backends(settings, backends), draining)
    tracking = TrackingProducer(redis, database, settings.tracking_limit, settings.tracking_limit_bytes)
    # A page may have a total that was read from a lagging replica, and kept as briefly as such a page.
    longest = REPLICA_BEHIND_SECONDS + REPLICA_SECONDS + PROCESS_SECONDS
    replica_lag_seconds = longest if settings.database_replica_urls else 0.0
    breakers = {"postgres": database.breaker, "redis": redis.breaker, "elasticsearch": search.breaker}
    async with (
        open_cache(
            redis, replica_lag_seconds=replica_lag_seconds, subscribed=not CACHING_ROLES.isdisjoint(settings.roles)
        ) as cache,
        running_request_log_buffer(tracking) as request_logs,
        logging_until_ready(readiness),
        flushing(),
        aclosing(SigningKeys(settings.supabase_jwks_url)) as signing_keys,
        aclosing(_share_health(backends, settings.search_alias, cache, breakers)) as health,
        aclosing(SharedResult(current_metrics, seconds=METRICS_SECONDS)) as metrics,
        aclosing(
            SharedResult(partial(current_metrics, openmetrics.generate_latest), seconds=METRICS_SECONDS)
        ) as open_metrics,
        background_task(watch_clock()),
        background_task(watch_event_loop()),
        background_task(keep_trimmed()),
    ):
        yield AppState(
            settings=settings,
            today=business_date_provider(settings),
            database=database,
            elasticsearch=backends.elasticsearch,
            redis=redis.client,
            breakers=breakers,
            cache=cache,
            fast_path=fast_path,
            **_recommendation_services(settings, backends, cache, admission),
            rollout=backends.rollout,
            rate_limiter=RateLimiter(redis, settings),
            signing_keys=signing_keys,
            tracking=tracking,
            request_logs=request_logs,
            health=health,
            metrics=metrics,
            open_metrics=open_metrics,
            readiness=readiness,
            draining=draining,
            admission=admission,
            connections=ConnectionLimit(connection_limit(settings)),
            receiving=ReceivingLimit(receiving_limit(settings)),
            parsing_turns=ParsingTurns(),
        )


class RecommendationServices(TypedDict):
    """Those of `AppState`."""

    recommendations: RecommendationService
    evaluation: EvaluationRunner


def _recommendation_services(
    settings: Settings, backends: Backends, cache: ResponseCache, admission: AdmissionController
) -> RecommendationServices:
    database = backends.database
    fallback = PostgresTripSearch(database, max_candidates=settings.fallback_candidates)
    service = partial(RecommendationService, cache, database, fallback=fallback)
    return RecommendationServices(
        recommendations=service(
            index=backends.search, cache_seconds=settings.answer_cache_seconds, limit=admission.searches
        ),
        # Without a cache, and apart from the limit of visitors' searches.
        evaluation=EvaluationRunner(service(index=backends.evaluation_search, cache_seconds=0)),
    )


def _required_backends(settings: Settings, backends: Backends) -> RequiredBackends:
    if "recommendations" in settings.roles:
        return SearchBackends(backends.elasticsearch, backends.feed, settings, backends.database)
    return StoreBackends(backends.database, backends.redis)


def _share_health(
    backends: Backends, alias: str, cache: ResponseCache, breakers: Mapping[str, CircuitBreaker]
) -> SharedResult[Health]:
    """Return the health check whose result all callers share for a moment."""
    check = HealthCheck(
        database=backends.database,
        redis=backends.redis.client,
        elasticsearch=backends.elasticsearch,
        alias=alias,
        feed=backends.feed,
        cache=cache,
        breakers=breakers,
    )
    return SharedResult(check.run, seconds=HEALTH_SECONDS)
