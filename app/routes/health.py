"""Health for people and dashboards, and the probes of orchestrators: alive, ready."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version
from typing import Literal

import structlog
from starlette.responses import RedirectResponse, Response

from app.endpoints.endpoint import Endpoint
from app.http.raw_response import JSON
from app.repositories.statistics import count_tables
from app.state import ApiRequest, RequestState
from core.errors import BACKEND_ERRORS, BackendError
from schemas.api.entities import to_json
from schemas.api.errors import Alive
from schemas.api.health import Breakers, Dependencies, DependencyState, Health, TableCounts, Welcome

log = structlog.get_logger()

VERSION = version("smarttrip")

PATIENCE = 1.0
"""Seconds that a dependency has to answer."""

COUNTS_SECONDS = 10.0

OK = b'{"status":"ok"}'


async def health(request: ApiRequest) -> Response:
    state = request.state
    checks = {"postgres": _postgres(state), "redis": _redis(state), "elasticsearch": _elasticsearch(state)}
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
    return Response(
        to_json(body),
        status_code=503 if unhealthy else 200,
        headers={"Cache-Control": "no-store", **({"Retry-After": "2"} if unhealthy else {})},
        media_type=JSON,
    )


def _status(dependencies: Dependencies) -> Literal["healthy", "degraded", "unhealthy"]:
    searching = dependencies.elasticsearch == "up"
    if searching and dependencies.postgres == dependencies.redis == "up":
        return "healthy"
    return "degraded" if searching or dependencies.postgres == "up" else "unhealthy"


async def _with_timeout(name: str, check: Awaitable[DependencyState]) -> DependencyState:
    try:
        async with asyncio.timeout(PATIENCE):
            return await check
    except (BackendError, *BACKEND_ERRORS) as error:
        log.warning("dependency_down", dependency=name, error=type(error).__name__)
        return "down"


async def _postgres(state: RequestState) -> DependencyState:
    async with state["database"].read() as session:
        # A connection from the pool is tried before it is given out.
        await session.connection()
    return "up"


async def _redis(state: RequestState) -> DependencyState:
    await state["redis"].ping()
    return "up"


async def _elasticsearch(state: RequestState) -> DependencyState:
    found = await state["elasticsearch"].indices.exists_alias(name=state["settings"].elasticsearch_alias)
    return "up" if found else "no_index"


async def _counts(state: RequestState) -> TableCounts:
    async def fill() -> bytes:
        async with state["database"].read() as session:
            return to_json(await count_tables(session))

    try:
        body = await state["cache"].get("table-counts", frozenset(), fill, COUNTS_SECONDS)
    except BackendError:
        return TableCounts()
    return TableCounts.model_validate_json(body.identity)


async def root(request: ApiRequest) -> Response:
    """A browser is shown the API's page."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs", headers={"Vary": "Accept"})
    return Response(to_json(Welcome(version=VERSION)), media_type=JSON)


async def livez(request: ApiRequest) -> Response:
    return Response(OK, media_type=JSON)


async def readyz(request: ApiRequest) -> Response:
    await request.state["readiness"].check()
    return Response(OK, media_type=JSON)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/livez",
        handler=livez,
        summary="Alive",
        tag="system",
        answer=Alive,
        rate_limit=None,
        shed=False,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=readyz,
        summary="Ready",
        tag="system",
        answer=Alive,
        rate_limit=None,
        shed=False,
        errors=(503,),
    ),
    Endpoint(method="GET", path="/", handler=root, summary="What this is", tag="system", answer=Welcome),
    Endpoint(
        method="GET",
        path="/api/health",
        handler=health,
        summary="The service's state, its dependencies' and how much it holds",
        tag="system",
        rate_limit=None,
        shed=False,
        answer=Health,
        extra_statuses=(503,),
    ),
)
