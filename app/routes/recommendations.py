"""Recommendations: the search for departures."""

import time
from datetime import date
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app.access.authentication import require_admin
from app.endpoints.endpoint import Endpoint
from app.http.conditional import accepts_gzip_response
from app.http.errors import weights_not_found
from app.http.raw_response import RawResponse
from app.middleware.rate_limiting import rate_limit_keys
from app.recommendations.response import WEIGHTS_HEADER, build_response
from app.recommendations.rollout.assignment import Assignment
from app.recommendations.service import CachedResponse, RecommendationService, SearchRequest
from app.state import ApiRequest, RequestState, current_identity
from schemas.api.preferences import Preferences
from schemas.api.recommendations import RecommendationsResponse


async def recommend(request: ApiRequest, body: Preferences) -> Response:
    state, started = request.state, time.monotonic()
    assignment = await _assignment(request)
    gzipped = accepts_gzip_response(state["context"].headers)
    search = SearchRequest(body, state["today"](), gzipped, assignment)
    response = await _get_response(state["recommendations"], search)
    identity = search.key, assignment.weights.key, search.today
    state["fast_path"].register(
        request.scope,
        partial(_local_response, *identity),
        body=state["context"].content or b"",
        is_cached=partial(_is_cached, *identity),
    )
    return build_response(request.scope, response, assignment, started)


def _local_response(key: str, weights_key: str, today: date, scope: Scope) -> RawResponse | None:
    """Respond on the fast path: return the response if this process has a current one of this day, else None.

    `key` is that of the request with the weights of `weights_key`.
    """
    state: RequestState = scope["state"]
    if WEIGHTS_HEADER in state["context"].headers or state["today"]() != today:
        return None
    assignment = _planned(scope)
    if assignment.weights.key != weights_key:
        key = key.replace(weights_key, assignment.weights.key, 1)
    response = state["recommendations"].get_local(key)
    return None if response is None else build_response(scope, response, assignment, time.monotonic())


def _is_cached(key: str, weights_key: str, today: date, scope: Scope) -> bool:
    """Return whether the request is answered from a cache, with whichever weights of a rollout."""
    state: RequestState = scope["state"]
    plan = state["rollout"].plan
    variants = [plan.stable] if plan.candidate is None else [plan.stable, plan.candidate]
    return state["today"]() == today and all(
        state["recommendations"].has_current(key.replace(weights_key, variant.weights.key, 1)) for variant in variants
    )


async def _get_response(service: RecommendationService, search: SearchRequest) -> CachedResponse:
    """Return the response; during a rollout count a failure of any kind, or a timeout, before it is raised."""
    try:
        return await service.get_response(search)
    except BaseException:
        if search.assignment.counts is not None:
            search.assignment.counts.add_request(failed=True)
        raise


def _planned(scope: Scope) -> Assignment:
    """Return what the client is answered with: during a rollout by user, else by address or IPv6 network."""
    state: RequestState = scope["state"]
    plan = state["rollout"].plan
    return plan.stable if plan.candidate is None else plan.choose(rate_limit_keys(Request(scope))[0])


async def _assignment(request: ApiRequest) -> Assignment:
    """Return what the request is answered with: the weights that an administrator names, else those of the plan.

    Raises: NotAuthenticatedError, NotAuthorizedError; ApiError 404; BackendUnavailableError.
    """
    state = request.state
    reference = state["context"].headers.get(WEIGHTS_HEADER)
    if reference is None:
        return _planned(request.scope)
    require_admin(request.headers, state["settings"], lambda: current_identity(request))
    weights = await state["rollout"].find(reference.decode("latin-1"))
    if weights is None:
        raise weights_not_found()
    return Assignment(weights)


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
        searches=True,
        body=Preferences,
        response=RecommendationsResponse,
        errors=(401, 403, 404),
        headers={
            "X-Session-ID": "Id of the browsing session, to which the search is attributed.",
            "X-Scoring-Weights": "Weight set to score with, such as `summer@1`; for administrators.",
        },
    ),
)
