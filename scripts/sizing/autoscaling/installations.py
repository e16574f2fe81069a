"""The installations that the manifests describe, with the thresholds of their autoscalers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from scripts.sizing.autoscaling.fleet import SEARCHES, Service, search_service, whole_service
from scripts.sizing.autoscaling.rules import HorizontalPodAutoscaler, Render, Rule, Thresholds
from scripts.sizing.plan import Load

CPU_PERCENT, MEMORY_PERCENT = 70, 80
"""The platform's proposal names both; `recommendation.py` arrives at the first."""
IN_FLIGHT = 32

TEN, HUNDRED = Load(1_000, 100_000, 0.5, 3.0), Load(10_000, 100_000, 0.5, 3.0)
"""The proposal's targets, with a hit rate that is assumed: lower than that of a replayed day."""
NODES = {TEN: 1, HUNDRED: 3}
"""Of Elasticsearch: at a hundredfold one in each zone."""


@dataclass(frozen=True)
class Installation:
    name: str
    service: Service
    peak: float
    """Requests a second that its instances are planned for."""
    thresholds: Thresholds
    make_rule: Callable[[Thresholds], Rule]
    zones: int
    """Over which its instances are spread."""

    def with_cpu(self, percent: int) -> "Installation":
        return replace(self, thresholds=replace(self.thresholds, cpu_percent=percent))

    def rule(self) -> Rule:
        return self.make_rule(self.thresholds)


def _kubernetes(name: str, load: Load, thresholds: Thresholds, zones: int) -> Installation:
    """Return the instances that answer searches: those of the other roles have less to do."""
    service = search_service(load, NODES[load])
    return Installation(name, service, load.requests * SEARCHES, thresholds, HorizontalPodAutoscaler, zones)


def _render(name: str, load: Load) -> Installation:
    thresholds = Thresholds(2, 10, CPU_PERCENT, MEMORY_PERCENT, cores=1.0, memory_mib=2048)
    return Installation(name, whole_service(load, NODES[load]), load.requests, thresholds, Render, zones=2)


KUBERNETES_10X = _kubernetes(
    "Kubernetes, 10x", TEN, Thresholds(2, 4, CPU_PERCENT, MEMORY_PERCENT, cores=0.25, memory_mib=256), zones=2
)
KUBERNETES_100X = _kubernetes(
    "Kubernetes, 100x",
    HUNDRED,
    Thresholds(3, 10, CPU_PERCENT, MEMORY_PERCENT, cores=0.5, memory_mib=256, in_flight=IN_FLIGHT),
    zones=3,
)
RENDER_10X, RENDER_100X = _render("Render, 10x", TEN), _render("Render, 100x", HUNDRED)
INSTALLATIONS = (KUBERNETES_10X, KUBERNETES_100X, RENDER_10X, RENDER_100X)
