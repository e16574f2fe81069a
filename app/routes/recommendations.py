"""The search itself."""

from datetime import UTC, datetime

from starlette.responses import Response

from app.endpoints import Endpoint
from app.http_caching import takes_gzip
from app.lifespan import ApiRequest
from app.recommendations.answers import Wanted
from app.recommendations.asked_before import PATH
from app.recommendations.reply import reply
from schemas.preferences import Preferences
from schemas.recommendations import RecommendationsAnswer


async def recommendations(request: ApiRequest, body: Preferences) -> Response:
    state, asked_at = request.state, datetime.now(UTC)
    wanted = Wanted(body, state["today"](), takes_gzip(state["fields"]))
    answer = await state["answers"].answer(wanted)
    state["asked_before"].remember(request.scope, wanted)
    return reply(request.scope, answer, asked_at)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=PATH,
        handler=recommendations,
        summary="The best departures for a traveller's preferences, each with its score and why",
        tag="recommendations",
        body=Preferences,
        answer=RecommendationsAnswer,
        errors=(503,),
        headers=("X-Session-ID",),
    ),
)
