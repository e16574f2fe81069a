"""Metrics in the text format of Prometheus."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.observability.metrics import render_metrics
from app.observability.request_metrics import flush
from app.state import ApiRequest


async def get_metrics(request: ApiRequest) -> Response:
    flush()
    return Response(render_metrics(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/metrics",
        handler=get_metrics,
        summary="Return metrics for Prometheus",
        description="Return the metrics of this process, or of all worker processes, in the text format of Prometheus.",
        tag="system",
        rate_limit=None,
        shed=False,
        response=None,
        media_type="text/plain",
    ),
)
