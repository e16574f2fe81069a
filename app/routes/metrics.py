"""Figures for Prometheus."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.observability.metrics import render_metrics
from app.observability.request_metrics import flush
from app.state import ApiRequest


async def metrics(request: ApiRequest) -> Response:
    flush()
    return Response(render_metrics(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/metrics",
        handler=metrics,
        summary="Figures for Prometheus",
        tag="system",
        rate_limit=None,
        shed=False,
        answer=None,
        media_type="text/plain",
    ),
)
