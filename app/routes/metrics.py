"""Figures for Prometheus."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from app.endpoints import Endpoint
from app.lifespan import ApiRequest
from app.metrics import exposition
from app.tallies import tell


async def metrics(request: ApiRequest) -> Response:
    tell()
    return Response(exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/metrics",
        handler=metrics,
        summary="Figures for Prometheus",
        tag="system",
        answer=None,
        media_type="text/plain",
    ),
)
