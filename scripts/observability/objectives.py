"""Service-level objectives: the one table from which rules, alerts, panels and the page of the reference are made."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS

Kind = Literal["latency", "availability", "freshness"]

WINDOW = "30d"
AVAILABILITY = 0.999
LATENCY_SHARE = 0.95
"""Share of the responses that arrive within their group's time: the 95th percentile."""
FRESH_SECONDS = 2.0
FRESH_SHARE = 0.99

REQUESTS = "slo:requests:rate5m"
"""Recorded series: requests per second by group, status and bucket."""
FAILED, ANSWERED = 'status=~"5.."', 'status!~"5.."'


@dataclass(frozen=True)
class EndpointGroup:
    name: str
    contains: Callable[[Endpoint], bool]
    seconds: float
    """Time until the last byte, at the server, that LATENCY_SHARE of the responses keep; a bound of a bucket."""

    def routes(self) -> list[str]:
        return sorted({endpoint.path for endpoint in ENDPOINTS if self.contains(endpoint)})

    @property
    def selector(self) -> str:
        """PromQL: the label matcher of the group's routes."""
        return f'{{route=~"{"|".join(map(_escape, self.routes()))}"}}'


def _is_resource(endpoint: Endpoint) -> bool:
    """Return whether it is reference data or a list of trips: limited as resources, or cached."""
    return endpoint.rate_limit == "resources" or endpoint.cache is not None


RECOMMENDATIONS = EndpointGroup("recommendations", lambda endpoint: endpoint.rate_limit == "recommendations", 0.2)
RESOURCES = EndpointGroup("resources", _is_resource, 0.02)
EVENTS = EndpointGroup("events", lambda endpoint: endpoint.rate_limit == "events", 0.05)
GROUPS = (RECOMMENDATIONS, RESOURCES, EVENTS)


@dataclass(frozen=True)
class Objective:
    group: str
    kind: Kind
    promise: str
    target: float
    """Share of the events, over WINDOW, that keep the promise."""
    events: str
    """PromQL: events per second, over five minutes."""
    bad_events: str
    """PromQL: those of them that break the promise; 0, not absent, if none does."""

    @property
    def labels(self) -> dict[str, str]:
        return {"group": self.group, "kind": self.kind}


def objectives() -> list[Objective]:
    """Return all objectives: availability and latency of each group, of the service, and freshness of the index."""
    return [*_of_groups(), _service_availability(), _freshness()]


def request_rate(group: EndpointGroup) -> str:
    """Return PromQL: requests of the group per second over five minutes, by status and bucket."""
    return f"sum by (status, le) (rate(smarttrip_http_request_seconds_bucket{group.selector}[5m]))"


def _of_groups() -> Iterator[Objective]:
    for group in GROUPS:
        events, failed = _requests(group=group.name), _requests(FAILED, group=group.name)
        yield Objective(group.name, "availability", "no 5xx", AVAILABILITY, events, f"{failed} or 0 * {events}")
        answered = _requests(ANSWERED, group=group.name)
        in_time = _requests(ANSWERED, group=group.name, le=str(group.seconds))
        promise = f"within {group.seconds * 1000:.0f} ms"
        yield Objective(group.name, "latency", promise, LATENCY_SHARE, answered, f"{answered} - {in_time}")


def _service_availability() -> Objective:
    """Return the objective of all requests, those that were shed included: no route of theirs is known."""
    answered, shed = _requests(), "sum(rate(smarttrip_http_requests_shed_total[5m]))"
    failed = f"({_requests(FAILED)} or 0 * {answered}) + {shed}"
    return Objective("service", "availability", "neither 5xx nor shed", AVAILABILITY, f"{answered} + {shed}", failed)


def _freshness() -> Objective:
    changes = "sum(rate(smarttrip_index_lag_seconds_count[5m]))"
    fresh = f'sum(rate(smarttrip_index_lag_seconds_bucket{{le="{FRESH_SECONDS}"}}[5m]))'
    promise = f"searchable within {FRESH_SECONDS:.0f} s"
    return Objective("changes", "freshness", promise, FRESH_SHARE, changes, f"{changes} - {fresh}")


def _requests(*matchers: str, le: str = "+Inf", **labels: str) -> str:
    selector = ",".join([*(f'{name}="{value}"' for name, value in (labels | {"le": le}).items()), *matchers])
    return f"sum({REQUESTS}{{{selector}}})"


def _escape(route: str) -> str:
    """Return the route as a regular expression inside a PromQL string."""
    return re.sub(r"[{}.]", lambda found: f"[{found[0]}]", route)
