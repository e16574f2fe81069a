"""The search itself."""

from datetime import UTC, datetime

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http.conditional import accepts_gzip_response
from app.recommendations.response import build_response
from app.recommendations.service import SearchRequest
from app.state import ApiRequest
from schemas.api.preferences import Preferences
from schemas.api.recommendations import RecommendationsAnswer


async def recommendations(request: ApiRequest, body: Preferences) -> Response:
    state, asked_at = request.state, datetime.now(UTC)
    wanted = SearchRequest(body, state["today"](), accepts_gzip_response(state["context"].headers))
    answer = await state["recommendations"].answer(wanted)
    state["cached_searches"].remember(request.scope, wanted)
    return build_response(request.scope, answer, asked_at)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v2/recommendations",
        handler=recommendations,
        summary="The best departures for a traveller's preferences, each with its score and why",
        tag="recommendations",
        rate_limit="recommendations",
        fast_path=True,
        body=Preferences,
        answer=RecommendationsAnswer,
        errors=(503,),
        headers=("X-Session-ID",),
    ),
)
