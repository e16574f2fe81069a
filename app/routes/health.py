"""Health for people and dashboards, and the probes of orchestrators: alive, ready."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version
from typing import Literal

import structlog
from starlette.responses import RedirectResponse, Response

from app.endpoints.endpoint import Endpoint
from app.http import security_headers
from app.http.responses import json_response
from app.repositories.statistics import count_tables
from app.state import ApiRequest, RequestState
from core.errors import BACKEND_ERRORS, BackendError
from indexer.index.admin import AliasState, alias_state
from schemas.api.entities import to_json
from schemas.api.errors import ProbeResponse
from schemas.api.health import Breakers, Dependencies, DependencyState, Health, TableCounts, Welcome

log = structlog.get_logger()

VERSION = version("smarttrip")

DEPENDENCY_TIMEOUT = 1.0
"""Seconds within which a dependency has to respond."""

COUNTS_TTL = 10.0
"""Seconds for which row counts are cached."""

INDEX_STATES: dict[AliasState, DependencyState] = {"open": "up", "closed": "closed", "missing": "no_index"}

OK = {"status": "ok"}


async def get_health(request: ApiRequest) -> Response:
    state = request.state
    checks = {
        "postgres": _check_postgres(state),
        "redis": _check_redis(state),
        "elasticsearch": _check_elasticsearch(state),
    }
    states = await asyncio.gather(*(_with_timeout(name, check) for name, check in checks.items()))
    dependencies = Dependencies(**dict(zip(checks, states, strict=True)))
    body = Health(
        status=_status(dependencies),
        version=VERSION,
        database=await _counts(state) if dependencies.postgres == "up" else TableCounts(),
        dependencies=dependencies,
        breakers=Breakers(**{name: breaker.state.name.lower() for name, breaker in state["breakers"].items()}),
    )
    unhealthy = body.status == "unhealthy"
    retry_after = ((b"retry-after", b"2"),) if unhealthy else ()
    headers = (*security_headers.HEADERS, (b"cache-control", b"no-store"), *retry_after)
    return json_response(request, body, status=503 if unhealthy else 200, headers=headers)


def _status(dependencies: Dependencies) -> Literal["healthy", "degraded", "unhealthy"]:
    index_up = dependencies.elasticsearch == "up"
    if index_up and dependencies.postgres == dependencies.redis == "up":
        return "healthy"
    return "degraded" if index_up or dependencies.postgres == "up" else "unhealthy"


async def _with_timeout(name: str, check: Awaitable[DependencyState]) -> DependencyState:
    try:
        async with asyncio.timeout(DEPENDENCY_TIMEOUT):
            return await check
    except (BackendError, *BACKEND_ERRORS) as error:
        log.warning("dependency_down", dependency=name, error=type(error).__name__)
        return "down"


async def _check_postgres(state: RequestState) -> DependencyState:
    async with state["database"].read() as session:
        # The pool tests a connection before it hands it out.
        await session.connection()
    return "up"


async def _check_redis(state: RequestState) -> DependencyState:
    await state["redis"].ping()
    return "up"


async def _check_elasticsearch(state: RequestState) -> DependencyState:
    if state["recommendations"].is_index_stale:
        return "stale"
    return INDEX_STATES[await alias_state(state["elasticsearch"], state["settings"].search_alias)]


async def _counts(state: RequestState) -> TableCounts:
    async def load() -> bytes:
        async with state["database"].read() as session:
            return to_json(await count_tables(session))

    try:
        body = await state["cache"].get("table-counts", frozenset(), load, COUNTS_TTL)
    except BackendError:
        return TableCounts()
    return TableCounts.model_validate_json(body.identity)


async def get_root(request: ApiRequest) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs", headers={"Vary": "Accept"})
    return json_response(request, Welcome(version=VERSION), headers=security_headers.HEADERS)


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
