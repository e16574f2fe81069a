"""HTTP response of a search: the cached body plus a request id of its own, under which the search is logged."""

import time
from datetime import UTC, datetime
from functools import lru_cache

from prometheus_client import Counter
from starlette.types import Scope

from app.http import security_headers
from app.http.conditional import STALE
from app.http.raw_response import (
    CONTENT_ENCODING_GZIP,
    CONTENT_TYPE_JSON,
    VARY_ACCEPT_ENCODING,
    Header,
    RawResponse,
    RequestHeaders,
    content_length,
)
from app.recommendations.rollout.assignment import Assignment
from app.recommendations.service import FROM_DATABASE, WITHOUT_DATABASE, CachedResponse
from app.tracking.records import RequestLog
from core.metrics.buffered_counter import BufferedCounter
from core.metrics.labels import with_values
from core.random_ids import random_uuid

ANSWER_SOURCES = {None: "index", FROM_DATABASE: "database", WITHOUT_DATABASE: "index_alone", STALE: "stale"}
"""What recommendations were made from, by their warning; all but `index` are degraded."""

ANSWERS = with_values(
    Counter(
        "smarttrip_recommendations_total", "Responses with recommendations, by what they were made from", ["source"]
    ),
    ANSWER_SOURCES.values(),
)

COUNTERS = {warning: BufferedCounter(ANSWERS.labels(source)) for warning, source in ANSWER_SOURCES.items()}

HEADERS = (CONTENT_TYPE_JSON, VARY_ACCEPT_ENCODING, *security_headers.API_HEADERS)
SESSION_ID = b"x-session-id"
WEIGHTS_HEADER = b"x-scoring-weights"
"""Of a request: the set that an administrator wants; of a response: the set that was used."""
VARIANT_HEADER = b"x-rollout-variant"
MAX_SESSION_ID = 64
"""Bytes of a UUID, however it is written; a longer id is not kept in the buffer of request logs."""


def build_response(scope: Scope, cached: CachedResponse, assignment: Assignment, started: float) -> RawResponse:
    """Build the response to a request received at `started` (monotonic), and add the search to the request log."""
    COUNTERS[cached.warning].count += 1
    if assignment.counts is not None:
        assignment.counts.add_request(failed=cached.warning is not None)
        record = scope["state"]["context"].record
        record.weights, record.variant = assignment.weights.reference, assignment.counts.variant
    seconds = time.monotonic() - started
    state, request_id = scope["state"], random_uuid()
    fields: RequestHeaders = state["context"].headers
    state["request_logs"].add(
        RequestLog(
            request_id=request_id,
            session_id=_session_id(fields),
            received_at=datetime.fromtimestamp(time.time() - seconds, UTC),
            response_time_ms=round(seconds * 1000),
            weights=assignment.weights.reference,
            search=cached.body.metadata,
        )
    )
    content = cached.body.close(b'"request_id":"%b"' % request_id.encode())
    coding = (CONTENT_ENCODING_GZIP,) if cached.body.gzipped else ()
    warning = ((b"warning", cached.warning.encode()),) if cached.warning else ()
    length = content_length(sum(map(len, content)))
    return RawResponse(200, (length, *HEADERS, *_own_headers(assignment), *coding, *warning), content)


@lru_cache(maxsize=16)
def _own_headers(assignment: Assignment) -> tuple[Header, ...]:
    """Return the headers that say what the response was made with."""
    variant = () if assignment.variant is None else ((VARIANT_HEADER, assignment.variant.encode()),)
    return ((WEIGHTS_HEADER, assignment.weights.reference.encode()), *variant)


def _session_id(headers: RequestHeaders) -> str:
    sent = headers.get(SESSION_ID, b"")
    return sent.decode("latin-1") if len(sent) <= MAX_SESSION_ID else ""
