"""What handlers find in `request.state`: the process's components, and the context of the request itself."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from elasticsearch import AsyncElasticsearch
from msgspec import Struct, field
from redis.asyncio import Redis
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope

from app.access.authentication import ANONYMOUS, Identity, authenticate, has_service_key
from app.access.client_ip import Address, client_ip
from app.access.rate_limiter import RateLimiter
from app.access.signing_keys import NO_KEYS, KeySet, SigningKeys
from app.backends.circuit_breaker import CircuitBreaker
from app.backends.database import Database
from app.cache.fast_path import FastPath
from app.cache.response_cache import ResponseCache
from app.http.errors import too_large
from app.http.raw_response import RequestHeaders
from app.http.request_decompression import decode_body
from app.http.requests import receive_body, reject_announced_length
from app.lifecycle.readiness import ReadinessProbe
from app.lifecycle.shutdown import DrainState
from app.recommendations.evaluation import EvaluationRunner
from app.recommendations.rollout.monitor import RolloutMonitor
from app.recommendations.service import RecommendationService
from app.server.admission import AdmissionController
from app.server.connections import ConnectionLimit
from app.server.parsing_turns import ParsingTurns
from app.server.receiving_limit import ReceivingLimit
from app.tracking.producer import TrackingProducer
from app.tracking.request_log_buffer import RequestLogBuffer
from core.business_date import BusinessDateProvider
from core.concurrency.shared_result import SharedResult
from core.configuration.settings import Settings
from core.request_record import RequestRecord
from schemas.api.health import Health


class AppState(TypedDict):
    """Components of the process; `app.lifespan` creates them once, at start-up."""

    settings: Settings
    today: BusinessDateProvider
    database: Database
    elasticsearch: AsyncElasticsearch
    redis: Redis
    breakers: Mapping[str, CircuitBreaker]
    """By dependency: postgres, redis, elasticsearch."""
    cache: ResponseCache
    fast_path: FastPath
    recommendations: RecommendationService
    evaluation: EvaluationRunner
    rollout: RolloutMonitor
    rate_limiter: RateLimiter
    signing_keys: SigningKeys
    tracking: TrackingProducer
    request_logs: RequestLogBuffer
    health: SharedResult[Health]
    metrics: SharedResult[bytes]
    """In the text format of Prometheus."""
    open_metrics: SharedResult[bytes]
    """In the text format of OpenMetrics, which has exemplars."""
    readiness: ReadinessProbe
    draining: DrainState
    admission: AdmissionController
    connections: ConnectionLimit
    receiving: ReceivingLimit
    parsing_turns: ParsingTurns


class RequestContext(Struct):
    """Values of one request; `RequestContextMiddleware` creates it."""

    id: str
    headers: RequestHeaders
    """Names in lower case; of a repeated header the last value."""
    body: bytes | None = None
    """As sent; None until `read_body` has received it, unless the server passed it in (`REQUEST_BODY_EXTENSION`)."""
    content: bytes | None = None
    """The body without its Content-Encoding; None until `read_body` has decoded it."""
    signing_keys: KeySet = NO_KEYS
    """Public keys that verify the request's token."""
    record: RequestRecord = field(default_factory=RequestRecord)
    identity: Identity | None = None
    """None until `current_identity` has verified the credentials."""


class RequestState(AppState):
    """A request's copy of the process's state, and its own context."""

    context: RequestContext


ApiRequest = Request[RequestState]

CREDENTIALS = frozenset({b"authorization", b"x-admin-key"})

ClientClass = Literal["admin", "user", "guest"]


def current_identity(request: ApiRequest) -> Identity:
    """Return who sent the request. The token is verified once per request."""
    state: RequestState = request.scope["state"]
    context = state["context"]
    if context.identity is None:
        is_anonymous = b"authorization" not in context.headers
        context.identity = (
            ANONYMOUS if is_anonymous else authenticate(request.headers, state["settings"], context.signing_keys)
        )
    return context.identity


def client_class(scope: Scope) -> ClientClass:
    """Return what kind of client sent the request, as far as its credentials were verified."""
    context: RequestContext = scope["state"]["context"]
    if context.identity is not None and context.identity.user is not None:
        return "admin" if context.identity.is_admin else "user"
    if CREDENTIALS.isdisjoint(context.headers):
        return "guest"
    return "admin" if has_service_key(Headers(scope=scope), scope["state"]["settings"]) else "guest"


def current_client_ip(request: ApiRequest) -> Address:
    """Return the address that the request came from, before any trusted proxies."""
    peer = request.client.host if request.client else None
    state: RequestState = request.scope["state"]
    return client_ip(request.headers, state["settings"], peer)


async def read_body(state: RequestState, receive: Receive, limit: int) -> bytes:
    """Return the request's body without its Content-Encoding; it is received and decoded on the first call.

    Raises: ApiError 400 (the client disconnected), 408 (it sends too slowly), 413 (more than `limit` bytes).
    """
    context = state["context"]
    if context.body is None:
        reject_announced_length(context.headers.get(b"content-length", b""), limit)
        context.body = await receive_body(receive, limit, state["settings"].body_seconds)
    if len(context.body) > limit:
        raise too_large(limit)
    if context.content is None:
        encoding = context.headers.get(b"content-encoding", b"").decode("latin-1")
        context.content = decode_body(context.body, encoding, limit) if encoding else context.body
    return context.content
