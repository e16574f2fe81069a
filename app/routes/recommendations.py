"""The search itself."""

from uuid import uuid4

from starlette.responses import Response

from app.answers import JSON
from app.endpoints import Endpoint
from app.http_caching import accepts_gzip
from app.lifespan import ApiRequest
from schemas.preferences import Preferences
from schemas.recommendations import RecommendationsAnswer


async def recommendations(request: ApiRequest, body: Preferences) -> Response:
    state = request.state
    answer = await state["answers"].answer(body, state["today"]())
    headers = dict(HEADERS)
    if answer.warning:
        headers["Warning"] = answer.warning
    last = b'"request_id":"%b"' % str(uuid4()).encode()
    if not accepts_gzip(request.headers.get("accept-encoding", "")):
        return Response(answer.body.close(last), headers=headers, media_type=JSON)
    headers["Content-Encoding"] = "gzip"
    return Response(answer.body.close_gzip(last), headers=headers, media_type=JSON)


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
