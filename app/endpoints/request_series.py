"""The series of request metrics that endpoints have: their routes with the statuses of their responses."""

from collections.abc import Iterable
from typing import NamedTuple

from app.endpoints.endpoint import Endpoint
from app.observability.request_metrics import CLIENT_CLOSED_REQUEST, METHODS, UNKNOWN_ROUTE
from core.metrics.labels import OTHER

BEFORE_ROUTING = frozenset({429})
"""Statuses of responses that are sent before a request has a route."""


class RequestSeries(NamedTuple):
    method: str
    route: str
    status: str


def request_series(endpoints: Iterable[Endpoint]) -> set[RequestSeries]:
    """Return the labels under which requests are counted; those of no endpoint share a few."""
    by_endpoint = {(endpoint.method, endpoint.path): statuses(endpoint) for endpoint in endpoints}
    known = frozenset[int]().union(BEFORE_ROUTING, *by_endpoint.values())
    return {
        *(RequestSeries(*named, str(status)) for named, found in by_endpoint.items() for status in found),
        *(RequestSeries(OTHER, path, "405") for _, path in by_endpoint),
        *(RequestSeries(method, UNKNOWN_ROUTE, "404") for method in {*METHODS.values(), OTHER}),
        *(RequestSeries(OTHER, UNKNOWN_ROUTE, str(status)) for status in (*known, OTHER)),
    }


def statuses(endpoint: Endpoint) -> frozenset[int]:
    """Return the statuses of the endpoint's responses, and that under which a client that left is counted."""
    own = {endpoint.status, *endpoint.extra_statuses, *endpoint.error_statuses, 500, CLIENT_CLOSED_REQUEST}
    if endpoint.cache is not None:
        own.add(304)
    return frozenset(own - BEFORE_ROUTING)
