"""The search itself."""

from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from starlette.responses import Response

from app.answers import JSON
from app.endpoints import Endpoint
from app.http_caching import accepts_gzip
from app.lifespan import ApiRequest
from app.recommendations.answers import Wanted
from app.tracking.entries import RequestLog
from schemas.preferences import Preferences
from schemas.recommendations import RecommendationsAnswer


async def recommendations(request: ApiRequest, body: Preferences) -> Response:
    state, asked_at, began = request.state, datetime.now(UTC), perf_counter()
    gzipped = accepts_gzip(request.headers.get("accept-encoding", ""))
    answer = await state["answers"].answer(Wanted(body, state["today"](), gzipped))
    request_id = uuid4()
    state["request_logs"].add(
        RequestLog(
            request_id=request_id,
            session_id=request.headers.get("x-session-id", ""),
            asked_at=asked_at,
            response_time_ms=round((perf_counter() - began) * 1000),
            note=answer.body.note,
        )
    )
    headers = dict(HEADERS)
    if answer.warning:
        headers["Warning"] = answer.warning
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    return Response(
        answer.body.close(b'"request_id":"%b"' % str(request_id).encode()), headers=headers, media_type=JSON
    )


HEADERS = {"Vary": "Accept-Encoding", "Cache-Control": "private, no-store"}

ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v2/recommendations",
        handler=recommendations,
        summary="The best departures for a traveller's preferences, each with its score and why",
        tag="recommendations",
        body=Preferences,
        answer=RecommendationsAnswer,
        errors=(503,),
        headers=("X-Session-ID",),
    ),
)
