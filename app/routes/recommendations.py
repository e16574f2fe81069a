"""Recommendations: the search for departures."""

import time
from datetime import date
from functools import partial

from starlette.responses import Response
from starlette.types import Scope

from app.endpoints.endpoint import Endpoint
from app.http.conditional import accepts_gzip_response
from app.http.raw_response import RawResponse
from app.recommendations.response import build_response
from app.recommendations.service import SearchRequest
from app.state import ApiRequest, RequestState
from schemas.api.preferences import Preferences
from schemas.api.recommendations import RecommendationsResponse


async def recommend(request: ApiRequest, body: Preferences) -> Response:
    state, started = request.state, time.monotonic()
    search = SearchRequest(body, state["today"](), accepts_gzip_response(state["context"].headers))
    response = await state["recommendations"].get_response(search)
    state["fast_path"].register(
        request.scope, partial(_local_response, search.key, search.today), body=state["context"].content or b""
    )
    return build_response(request.scope, response, started)


def _local_response(key: str, today: date, scope: Scope) -> RawResponse | None:
    """Respond on the fast path: return the response if this process has a current one of this day, else None."""
    state: RequestState = scope["state"]
    response = state["recommendations"].get_local(key) if state["today"]() == today else None
    return None if response is None else build_response(scope, response, time.monotonic())


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/v2/recommendations",
        handler=recommend,
        summary="Recommend departures",
        description=(
            "Return the best departures for a traveller's preferences, each with its score and the rules behind "
            "it. Where few match, departures that match less strictly are added."
        ),
        tag="recommendations",
        rate_limit="recommendations",
        fast_path=True,
        body=Preferences,
        response=RecommendationsResponse,
        headers={"X-Session-ID": "Id of the browsing session, to which the search is attributed."},
    ),
)
