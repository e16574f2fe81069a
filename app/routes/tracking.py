"""Tracking: sessions, visitors and their events."""

from datetime import UTC, datetime
from ipaddress import ip_network

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from app.access.client_ip import UNKNOWN
from app.endpoints.endpoint import Endpoint
from app.http.errors import ApiError, rate_limited
from app.http.language import language_headers, request_language
from app.http.requests import MAX_BATCH_BODY, read_model
from app.http.responses import json_response
from app.http.security_headers import API_HEADERS
from app.middleware.rate_limiting import rate_limit_keys
from app.state import ApiRequest, current_client_ip, current_identity
from app.tracking.records import encode_event
from core.errors import BackendError
from core.random_ids import random_uuid
from schemas.api.tracking import (
    Email,
    EventBatch,
    EventBatchResponse,
    EventResponse,
    EventTypes,
    IdentifyRequest,
    IdentifyResponse,
    SessionRequest,
    SessionResponse,
    TrackedEvent,
)
from schemas.event_types import CATEGORIES, SOURCES
from tracking import visitors
from tracking.visitors import Visitor
from tracking.writers.sessions import encode_session

MAX_USER_AGENT = 500
NETWORK_BITS = {4: 24, 6: 48}
"""Bits of the client's address that are stored, by IP version: enough for a region, too few for a person."""

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


async def start_session(request: ApiRequest, body: SessionRequest) -> Response:
    visitor = Visitor(
        _verified_email(request), _network(request), request.headers.get("user-agent", "")[:MAX_USER_AGENT]
    )
    result = await _store_session(request, body, visitor)
    return json_response(
        request,
        {
            "success": True,
            "user_id": result.user_id if result else None,
            "session_id": body.session_id,
            "is_new_session": result.is_new if result else True,
        },
    )


async def _store_session(
    request: ApiRequest, start: SessionRequest, visitor: Visitor
) -> visitors.SessionResponse | None:
    """Start the session; while the database is unavailable, append it to the stream for the worker and return None.

    Clients do not repeat a failed start, and such a session would never exist.
    """
    state, received_at = request.state, datetime.now(UTC)
    try:
        return await state["database"].transact(lambda session: visitors.start_session(session, start, visitor))
    except BackendError:
        await state["tracking"].publish_session(encode_session(start, visitor, received_at))
        return None


async def identify(request: ApiRequest, body: IdentifyRequest) -> Response:
    email = _verified_email(request)
    user = await request.state["database"].transact(lambda session: visitors.identify(session, body, email))
    return json_response(request, {"success": True, "user_id": user.user_id, "is_registered": user.is_registered})


def _verified_email(request: ApiRequest) -> str | None:
    """Return the e-mail address of the token, or None if there is none or it is invalid."""
    email = current_identity(request).email
    try:
        return None if email is None else _EMAIL.validate_python(email)
    except ValidationError:
        return None


def _network(request: ApiRequest) -> str | None:
    """Return the network that is stored in place of the client's address, or None if the address is unknown."""
    address = current_client_ip(request)
    if address == UNKNOWN:
        return None
    return str(ip_network((address, NETWORK_BITS[address.version]), strict=False))


async def _count_events(request: ApiRequest, count: int) -> None:
    """Count events against the client's limit, all or none. Raises: ApiError 429."""
    if not request.scope["state"]["settings"].rate_limit_enabled:
        return
    result = await request.state["rate_limiter"].check("event_count", *rate_limit_keys(request), cost=count)
    if result is not None and not result.allowed:
        raise rate_limited(result.retry_after, result.headers)


async def record_event(request: ApiRequest, body: TrackedEvent) -> Response:
    await _count_events(request, 1)
    event_id = body.event_id or random_uuid()
    await request.scope["state"]["tracking"].publish_events([encode_event(body, event_id, datetime.now(UTC))])
    return json_response(request, {"success": True, "event_id": event_id}, status=202)


async def record_events(request: ApiRequest, body: EventBatch) -> Response:
    await _count_events(request, len(body.events))
    received_at, language = datetime.now(UTC), request_language(request.state["context"].headers)
    entries: list[bytes] = []
    errors: list[dict[str, object]] = []
    for index, value in enumerate(body.events):
        try:
            event = read_model(TrackedEvent, value)
        except ApiError as error:
            errors.append({"index": index, "error": error.message.text(language)})
        else:
            entries.append(encode_event(event, event.event_id or random_uuid(), received_at))
    if entries:
        await request.state["tracking"].publish_events(entries)
    accepted = {"success": True, "processed": len(entries), "total": len(body.events), "errors": errors or None}
    headers = (*API_HEADERS, *language_headers(language)) if errors else API_HEADERS
    return json_response(request, accepted, status=202, headers=headers)


async def list_event_types(request: ApiRequest) -> Response:
    return json_response(
        request,
        {
            "success": True,
            "event_types": sorted(CATEGORIES),
            "categories": dict(sorted(CATEGORIES.items())),
            "valid_sources": sorted(SOURCES),
        },
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/events",
        handler=record_event,
        summary="Record an event",
        description="Accept an event of a visitor. It is stored soon afterwards.",
        tag="tracking",
        rate_limit="events",
        body=TrackedEvent,
        response=EventResponse,
        status=202,
        bounds_itself=True,
    ),
    Endpoint(
        method="POST",
        path="/api/events/batch",
        handler=record_events,
        summary="Record events",
        description=(
            "Accept up to 100 events. Each is validated by itself; invalid ones are listed and the others are accepted."
        ),
        tag="tracking",
        rate_limit="events",
        body=EventBatch,
        max_body=MAX_BATCH_BODY,
        response=EventBatchResponse,
        status=202,
        bounds_itself=True,
    ),
    Endpoint(
        method="POST",
        path="/api/session/start",
        handler=start_session,
        summary="Start a session",
        description=(
            "Start a browsing session. A session that is already open stays as it is. While the database is "
            "unavailable, the session is stored later, and `user_id` is null."
        ),
        tag="tracking",
        rate_limit="events",
        body=SessionRequest,
        response=SessionResponse,
    ),
    Endpoint(
        method="POST",
        path="/api/user/identify",
        handler=identify,
        summary="Identify a visitor",
        description=(
            "Store the e-mail address or name of a visitor. Only an address that a token proves can take over a "
            "registered user."
        ),
        tag="tracking",
        rate_limit="events",
        body=IdentifyRequest,
        response=IdentifyResponse,
    ),
    Endpoint(
        method="GET",
        path="/api/events/types",
        handler=list_event_types,
        summary="List event types",
        description="Return the event types with their categories, and the valid sources.",
        tag="tracking",
        rate_limit="resources",
        response=EventTypes,
    ),
)
