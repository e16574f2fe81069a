"""The search itself."""

from uuid import uuid4

from starlette.responses import Response

from app.answers import JSON
from app.endpoints import Endpoint
from app.http_caching import accepts_gzip
from app.lifespan import ApiRequest
from app.recommendations.answers import Wanted
from schemas.preferences import Preferences
from schemas.recommendations import RecommendationsAnswer


async def recommendations(request: ApiRequest, body: Preferences) -> Response:
    state = request.state
    gzipped = accepts_gzip(request.headers.get("accept-encoding", ""))
    answer = await state["answers"].answer(Wanted(body, state["today"](), gzipped))
    headers = dict(HEADERS)
    if answer.warning:
        headers["Warning"] = answer.warning
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    return Response(answer.body.close(b'"request_id":"%b"' % str(uuid4()).encode()), headers=headers, media_type=JSON)


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
    ),
)
