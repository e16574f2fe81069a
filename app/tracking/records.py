"""Records of the tracking stream: JSON objects whose keys are the names of the columns."""

from datetime import datetime
from uuid import UUID

import orjson
from msgspec import Struct

from schemas.api.tracking import TrackedEvent
from schemas.weight_sets import PLATFORM

ALGORITHM_VERSION = "v2"
"""How the platform names the algorithm with its own weights."""

ESCAPED_BACKSLASH, ESCAPED_NUL, ESCAPED_REPLACEMENT = rb"\\", rb"\u0000", rb"\ufffd"
NO_TEXT = b"\xff"
"""A byte that UTF-8 does not have."""


def encode_event(event: TrackedEvent, event_id: UUID | str, received_at: datetime) -> bytes:
    body = orjson.dumps(
        {
            "event_uuid": event_id,
            "event_type": event.event_type,
            "session_id": event.session_id,
            "anonymous_id": event.anonymous_id,
            "trip_id": event.trip_id,
            "recommendation_request_id": event.recommendation_request_id,
            "source": event.source,
            "event_data": event.metadata,
            "position_in_results": event.position,
            "score_at_time": event.score,
            "timestamp": received_at,
            "client_timestamp": event.client_timestamp,
            "page_url": event.page_url,
            "referrer": event.referrer,
        }
    )
    return _replace_nul(body) if ESCAPED_NUL in body else body


def _replace_nul(body: bytes) -> bytes:
    """Replace NUL, which metadata may contain and Postgres cannot store, in JSON by U+FFFD.

    Without its escaped backslashes, JSON has a backslash only where an escape begins. A regular expression that skips
    them takes fifty times as long, on the event loop.
    """
    body = body.replace(ESCAPED_BACKSLASH, NO_TEXT).replace(ESCAPED_NUL, ESCAPED_REPLACEMENT)
    return body.replace(NO_TEXT, ESCAPED_BACKSLASH)


class RequestLog(Struct, frozen=True):
    """The log of a recommendation request."""

    request_id: str
    session_id: str
    """As the client sent it; empty if it sent none, or a long one. Only a UUID is stored."""
    received_at: datetime
    response_time_ms: int
    weights: str
    """Reference of the weight set."""
    search: bytes
    """JSON object of the preferences and results, see `app.recommendations.request_log_record`."""


def _session(sent: str) -> str | None:
    """Return the session id as the database formats it, by which the data of a person is found.

    Anything else than a UUID is dropped: it could be personal data that export and erasure would not find.
    """
    try:
        return str(UUID(sent)) if sent else None
    except ValueError:
        return None


def _algorithm(weights: str) -> str:
    return ALGORITHM_VERSION if weights == PLATFORM else f"{ALGORITHM_VERSION}+{weights}"


def encode_request_log(log: RequestLog) -> bytes:
    body = {
        "request_id": log.request_id,
        "session_id": _session(log.session_id),
        "created_at": log.received_at,
        "response_time_ms": log.response_time_ms,
        "algorithm_version": _algorithm(log.weights),
    }
    return b",".join((orjson.dumps(body)[:-1], log.search[1:]))
