"""Health of the whole service, for people and dashboards."""

from starlette.responses import RedirectResponse, Response

from app.endpoints.endpoint import Endpoint
from app.http import security_headers
from app.http.responses import json_response
from app.lifecycle.health import VERSION
from app.state import ApiRequest
from schemas.api.health import Health, Welcome


async def get_health(request: ApiRequest) -> Response:
    body = await request.state["health"].get()
    unhealthy = body.status == "unhealthy"
    retry_after = ((b"retry-after", b"2"),) if unhealthy else ()
    headers = (*security_headers.HEADERS, (b"cache-control", b"no-store"), *retry_after)
    return json_response(request, body, status=503 if unhealthy else 200, headers=headers)


async def get_root(request: ApiRequest) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs", headers={"Vary": "Accept"})
    return json_response(request, Welcome(version=VERSION), headers=security_headers.HEADERS)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/",
        handler=get_root,
        summary="Return the name and version",
        description="Return the name and version of the service. Browsers are redirected to the API's page.",
        tag="system",
        response=Welcome,
    ),
    Endpoint(
        method="GET",
        path="/api/health",
        handler=get_health,
        summary="Return the health of the service",
        description=(
            "Return the state of the service, its dependencies and circuit breakers, and row counts. 503 means "
            "unhealthy."
        ),
        tag="system",
        rate_limit=None,
        shed=False,
        response=Health,
        extra_statuses=(503,),
    ),
)
