"""Which weights a request is answered with, and what comes of it while a rollout runs."""

from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from typing import get_args

from prometheus_client import Counter, Histogram

from core.metrics.labels import with_values
from indexer.rollout.criteria import BOUNDS, Totals
from indexer.rollout.outcomes import Variant
from indexer.rollout.rollouts import RolloutState
from scoring.weight_set import PLATFORM_SET, WeightSet

REQUESTS = with_values(
    Counter("smarttrip_rollout_requests_total", "Searches of clients during a rollout", ["variant", "outcome"]),
    get_args(Variant),
    ("answered", "failed"),
)
SEARCHES = with_values(
    Counter(
        "smarttrip_rollout_searches_total",
        "Searches that no cache answered during a rollout, by results",
        ["variant", "results"],
    ),
    get_args(Variant),
    ("some", "none"),
)
SECONDS = with_values(
    Histogram("smarttrip_rollout_search_seconds", "Time of these searches", ["variant"]), get_args(Variant)
)


class OutcomeCounts:
    """Counts of the requests and searches of one rollout variant in this process since the last `take`."""

    def __init__(self, variant: Variant) -> None:
        self.variant: Variant = variant
        self._clear()

    def add_request(self, *, failed: bool) -> None:
        """Count a request; degraded responses count as failed."""
        REQUESTS.labels(self.variant, "failed" if failed else "answered").inc()
        self._requests += 1
        self._failures += failed

    def add_search(self, seconds: float, *, is_empty: bool) -> None:
        """Count a search that no cache answered."""
        SEARCHES.labels(self.variant, "none" if is_empty else "some").inc()
        SECONDS.labels(self.variant).observe(seconds)
        self._searches += 1
        self._empty += is_empty
        self._buckets[bisect_left(BOUNDS, seconds)] += 1

    def take(self) -> Totals:
        """Return what was counted, and begin anew."""
        totals = Totals(self._requests, self._failures, self._searches, self._empty, self._buckets)
        self._clear()
        return totals

    def _clear(self) -> None:
        self._requests = self._failures = self._searches = self._empty = 0
        self._buckets = [0] * (len(BOUNDS) + 1)


@dataclass(frozen=True, eq=False)
class Assignment:
    """What one request is answered with."""

    weights: WeightSet
    counts: OutcomeCounts | None = None
    """Those of its variant; None outside of a rollout, and for what an administrator chose."""

    @property
    def variant(self) -> Variant | None:
        return None if self.counts is None else self.counts.variant


OWN_ASSIGNMENT = Assignment(PLATFORM_SET)


class Plan:
    """Which client is answered with what."""

    def __init__(self, state: RolloutState) -> None:
        self.state = state
        if state.running is None:
            self.stable, self.candidate = Assignment(state.stable), None
        else:
            self.stable = Assignment(state.stable, OutcomeCounts("stable"))
            self.candidate = Assignment(state.running.candidate, OutcomeCounts("candidate"))

    def choose(self, client: str) -> Assignment:
        """Return the same for the same client as long as the rollout runs, also when its share grows."""
        if self.state.running is None or self.candidate is None:
            return self.stable
        digest = sha256(f"{self.state.running.id}:{client}".encode()).digest()
        is_chosen = int.from_bytes(digest[:4]) % 100 < self.state.running.percent
        return self.candidate if is_chosen else self.stable
