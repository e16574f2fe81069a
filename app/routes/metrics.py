"""Metrics in the text format of Prometheus."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics
from starlette.responses import Response

from app.access.client_ip import is_in, reported_addresses
from app.endpoints.endpoint import Endpoint
from app.state import ApiRequest, current_client_ip
from core.errors import NotAuthorizedError
from schemas.messages.message import Message

OPEN_METRICS = "application/openmetrics-text"
"""Media type for which clients ask that read exemplars, such as Prometheus."""


async def get_metrics(request: ApiRequest) -> Response:
    """Return the metrics. Raises: NotAuthorizedError, for a client whose address is not in METRICS_ALLOWED."""
    if not _is_allowed(request):
        raise NotAuthorizedError(Message("metrics_not_allowed"))
    if OPEN_METRICS in request.headers.get("accept", ""):
        return Response(await request.state["open_metrics"].get(), media_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(await request.state["metrics"].get(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _is_allowed(request: ApiRequest) -> bool:
    """Judge the client's address, and all that any proxy reports: one that is not trusted has visitors as well."""
    settings = request.state["settings"]
    reported = [
        address for address in reported_addresses(request.headers) if not is_in(address, settings.trusted_proxies)
    ]
    return all(is_in(address, settings.metrics_allowed) for address in (current_client_ip(request), *reported))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/metrics",
        handler=get_metrics,
        summary="Return metrics for Prometheus",
        description=(
            "Return the metrics of this process, or of all worker processes, in the text format of "
            "Prometheus, to the addresses of the setting METRICS_ALLOWED."
        ),
        tag="system",
        rate_limit=None,
        shed=False,
        response=None,
        errors=(403,),
        media_type="text/plain",
    ),
)
