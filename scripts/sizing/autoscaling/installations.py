"""The installations that the manifests describe, with the thresholds of their autoscalers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.configuration.roles import Role
from scripts.sizing import figures
from scripts.sizing.autoscaling.fleet import Service, role_service, whole_service
from scripts.sizing.autoscaling.rules import HorizontalPodAutoscaler, Render, Rule, Thresholds
from scripts.sizing.plan import Load

CPU_PERCENT, MEMORY_PERCENT = 70, 80
"""The platform's proposal names both."""
LOWER_CPU_PERCENT = {"resources": 60}
"""At a hundredfold, of the roles for which `recommendation.py` finds the proposal's target too high."""
IN_FLIGHT = 32

TEN, HUNDRED = (Load(users, 100_000, figures.HIT_RATE, 3.0) for users in (1_000, 10_000))
"""The proposal's targets, as they are planned for."""
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

    def kept(self, requests: float) -> int:
        """Return how many instances its autoscaler keeps while there are so many requests a second."""
        target = self.thresholds.cores * self.thresholds.cpu_percent / 100
        numbers = range(self.thresholds.least, self.thresholds.most)
        enough = (number for number in numbers if self.service.busy(requests / number) <= target)
        return next(enough, self.thresholds.most)

    def rule(self) -> Rule:
        return self.make_rule(self.thresholds)


def _kubernetes(name: str, load: Load, role: Role, thresholds: Thresholds, zones: int) -> Installation:
    """Return the instances of one role."""
    service = role_service(load, NODES[load], role)
    return Installation(f"{name}, {role}", service, load.requests_of(role), thresholds, HorizontalPodAutoscaler, zones)


def _render(name: str, load: Load) -> Installation:
    thresholds = Thresholds(2, 10, CPU_PERCENT, MEMORY_PERCENT, cores=1.0, memory_mib=2048)
    return Installation(name, whole_service(load, NODES[load]), load.requests, thresholds, Render, zones=2)


ROLES: tuple[Role, ...] = ("recommendations", "resources", "events")
"""Those whose load grows with the visitors."""
SMALL = Thresholds(2, 4, CPU_PERCENT, MEMORY_PERCENT, cores=0.25, memory_mib=256)
LARGE = Thresholds(3, 10, CPU_PERCENT, MEMORY_PERCENT, cores=0.5, memory_mib=256, in_flight=IN_FLIGHT)
KUBERNETES_10X = {role: _kubernetes("Kubernetes, 10x", TEN, role, SMALL, zones=2) for role in ROLES}
KUBERNETES_100X = {
    role: _kubernetes("Kubernetes, 100x", HUNDRED, role, LARGE, zones=3).with_cpu(
        LOWER_CPU_PERCENT.get(role, CPU_PERCENT)
    )
    for role in ROLES
}
RENDER_10X, RENDER_100X = _render("Render, 10x", TEN), _render("Render, 100x", HUNDRED)
INSTALLATIONS = (*KUBERNETES_10X.values(), *KUBERNETES_100X.values(), RENDER_10X, RENDER_100X)
