"""Decisions of autoscalers, by the rules that they document.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ and https://render.com/docs/scaling
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean
from typing import Protocol

from scripts.sizing import figures
from scripts.sizing.autoscaling.fleet import Second


@dataclass(frozen=True)
class Thresholds:
    """When an autoscaler adds and removes instances, and what an instance has."""

    least: int
    most: int
    cpu_percent: int
    memory_percent: int
    cores: float
    """Requested for an instance; `cpu_percent` is a part of it."""
    memory_mib: int
    """Requested for an instance; `memory_percent` is a part of it."""
    in_flight: int | None = None
    """Requests in each instance."""

    def bounded(self, wanted: int) -> int:
        return min(max(wanted, self.least), self.most)

    def ratios(self, seen: Sequence[Second]) -> list[float]:
        """Return the ratio of each metric, averaged over the seconds, to its target; at 1 nothing changes."""
        busy = fmean(second.busy for second in seen) / self.cores
        memory = figures.API_MIB / self.memory_mib
        ratios = [busy / (self.cpu_percent / 100), memory / (self.memory_percent / 100)]
        return ratios if self.in_flight is None else [*ratios, seen[-1].in_flight / self.in_flight]


class Rule(Protocol):
    start_seconds: int
    """From the decision until an instance answers."""

    def decide(self, at: int, past: Sequence[Second]) -> int | None:
        """Return how many instances there should be from second `at` on; None where nothing is decided."""


@dataclass
class HighestWanted:
    """The highest number that was wanted within a window: instances are removed no sooner than it has passed.

    Before the first decision those were wanted that there are.
    """

    seconds: int
    _wanted: deque[tuple[int, int]] = field(default_factory=deque)

    def of(self, at: int, wanted: int, current: int) -> int:
        if not self._wanted:
            self._wanted.append((at, current))
        self._wanted.append((at, wanted))
        while self._wanted[0][0] <= at - self.seconds:
            self._wanted.popleft()
        return max(number for _, number in self._wanted)


class HorizontalPodAutoscaler:
    """Kubernetes' autoscaler of pods (autoscaling/v2), with the defaults of its controller and of metrics-server."""

    SYNC_SECONDS = 15
    METRICS_SECONDS = 15
    """Window of metrics-server; the last whole one is read."""
    METRICS_DELAY = 10
    """Seconds after its end at which a window can be read."""
    TOLERANCE = 0.1
    DOWN_SECONDS = 300

    def __init__(self, thresholds: Thresholds, start_seconds: int = figures.POD_START_SECONDS) -> None:
        self.thresholds = thresholds
        self.start_seconds = start_seconds
        self._highest = HighestWanted(self.DOWN_SECONDS)

    def decide(self, at: int, past: Sequence[Second]) -> int | None:
        now = past[-1]
        if at % self.SYNC_SECONDS or at < self.METRICS_SECONDS + self.METRICS_DELAY or not now.ready:
            return None
        end = (at - self.METRICS_DELAY) // self.METRICS_SECONDS * self.METRICS_SECONDS
        seen = _with_instances(past[end - self.METRICS_SECONDS : end])
        if not seen:
            return None
        current = now.ready + now.starting
        ratios = self.thresholds.ratios(seen)
        wanted = self.thresholds.bounded(max(self._wanted(ratio, now.ready, current) for ratio in ratios))
        highest = self._highest.of(at, wanted, current)
        return min(wanted, max(current + 4, current * 2)) if wanted > current else min(current, highest)

    def _wanted(self, ratio: float, ready: int, current: int) -> int:
        """Return how many pods one metric asks for; pods that start count as idle where pods would be added."""
        if ratio > 1 + self.TOLERANCE:
            return ceil(ratio * ready) if ratio * ready / current > 1 + self.TOLERANCE else current
        return ceil(ratio * ready) if ratio < 1 - self.TOLERANCE else current


class Render:
    """Render's autoscaling of a web service; how long its windows are is not documented, but assumed."""

    SYNC_SECONDS = 30
    UP_SECONDS = 60
    DOWN_SECONDS = 300

    def __init__(self, thresholds: Thresholds, start_seconds: int = figures.RENDER_START_SECONDS) -> None:
        self.thresholds = thresholds
        self.start_seconds = start_seconds
        self._highest = HighestWanted(self.DOWN_SECONDS)

    def decide(self, at: int, past: Sequence[Second]) -> int | None:
        now = past[-1]
        if at % self.SYNC_SECONDS or not now.ready:
            return None
        ratio = max(self.thresholds.ratios(_with_instances(past[-self.UP_SECONDS :])))
        return self._highest.of(at, self.thresholds.bounded(ceil(ratio * now.ready)), now.ready + now.starting)


def _with_instances(seen: Sequence[Second]) -> list[Second]:
    """Return the seconds in which an instance was ready: the others have no figures."""
    return [second for second in seen if second.ready]
