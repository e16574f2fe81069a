"""Health of the whole service, for people and dashboards."""

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http import security_headers
from app.http.language import request_language
from app.http.pages import ICON, ROBOTS, index_page, prefers_html
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
    accepted = request.state["context"].headers
    if prefers_html(accepted):
        return index_page(VERSION, request_language(accepted))
    headers = (*security_headers.HEADERS, (b"vary", b"Accept"))
    return json_response(request, Welcome(version=VERSION), headers=headers)


async def get_icon(request: ApiRequest) -> Response:
    return Response(ICON, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})


async def get_robots(request: ApiRequest) -> Response:
    return Response(ROBOTS, media_type="text/plain", headers={"Cache-Control": "public, max-age=86400"})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/",
        handler=get_root,
        summary="Return the name and version",
        description="Return the name and version of the service; to browsers, a page with an index of the API.",
        tag="system",
        response=Welcome,
    ),
    Endpoint(
        method="GET",
        path="/favicon.ico",
        handler=get_icon,
        summary="Return the icon of the pages",
        description="Return the icon that browsers show for the pages.",
        tag="system",
        rate_limit=None,
        described=False,
        response=None,
        media_type="image/svg+xml",
    ),
    Endpoint(
        method="GET",
        path="/robots.txt",
        handler=get_robots,
        summary="Return what robots may read",
        description="Return the rules for crawlers: an API has nothing to find for them.",
        tag="system",
        rate_limit=None,
        described=False,
        response=None,
        media_type="text/plain",
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
