"""Probes of orchestrators and load balancers: alive, ready."""

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http import security_headers
from app.http.responses import json_response
from app.state import ApiRequest
from schemas.api.errors import ProbeResponse

OK = {"status": "ok"}


async def get_liveness(request: ApiRequest) -> Response:
    return json_response(request, OK, headers=security_headers.HEADERS)


async def get_readiness(request: ApiRequest) -> Response:
    await request.state["readiness"].check()
    return json_response(request, OK, headers=security_headers.HEADERS)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/livez",
        handler=get_liveness,
        summary="Return whether the process is alive",
        description="Return 200 as long as the process responds.",
        tag="system",
        response=ProbeResponse,
        rate_limit=None,
        shed=False,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=get_readiness,
        summary="Return whether the process is ready",
        description=(
            "Return 200 when the process can answer requests, and 503 while it starts, drains or has no backend "
            "to search."
        ),
        tag="system",
        response=ProbeResponse,
        rate_limit=None,
        shed=False,
        errors=(503,),
    ),
)
