"""When a rollout is turned back: the candidate is compared with what the other clients get at the same time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BOUNDS = tuple(round(0.001 * 1.25**step, 6) for step in range(42))
"""Seconds up to which each bucket counts searches, from 1 ms to 9.4 s; one more bucket is for slower ones."""

FEW_SEARCHES = 20
"""Of the stable set: fewer tell nothing of its 95th percentile, and little of what usually finds nothing."""
UNNOTICED_SECONDS = 0.05
"""A 95th percentile up to which no candidate counts as slow."""

Share = Annotated[float, Field(ge=0, le=1)]


class AbortCriteria(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    more_failures: Share = 0.02
    """Share of the requests, above that of the stable set, that may fail or be degraded."""
    slower: Annotated[float, Field(ge=1, le=100)] = 2.0
    """Factor by which the 95th percentile of the searches may be above that of the stable set."""
    more_empty: Share = 0.05
    """Share of the searches, above that of the stable set, that may find nothing."""
    at_least: Annotated[int, Field(ge=1)] = 100
    """Requests or searches of the candidate before they are judged."""


@dataclass(frozen=True)
class Totals:
    """What the requests of one variant came to."""

    requests: int = 0
    failures: int = 0
    searches: int = 0
    empty: int = 0
    latencies: Sequence[int] = field(default=(0,) * (len(BOUNDS) + 1))
    """Searches by bucket of `BOUNDS`."""

    @property
    def failure_rate(self) -> float:
        return self.failures / self.requests if self.requests else 0.0

    @property
    def empty_rate(self) -> float:
        return self.empty / self.searches if self.searches else 0.0

    @property
    def possible_empty_rate(self) -> float:
        """Share of the searches that may usually find nothing: more than that of these, if they are few."""
        return self.empty_rate if self.searches >= FEW_SEARCHES else (self.empty + 1.5) / (self.searches + 3)

    @property
    def p95(self) -> float | None:
        """Bound in seconds below which 95 % of the searches were; None without searches."""
        if not self.searches:
            return None
        wanted = 0.95 * self.searches
        return next(
            bound
            for bound, count in zip((*BOUNDS, float("inf")), accumulate(self.latencies), strict=True)
            if count >= wanted
        )


def reason_to_abort(stable: Totals, candidate: Totals, criteria: AbortCriteria) -> str | None:
    """Return a sentence that says which criterion the candidate misses, or None.

    Where few clients or none get the stable set, what usually finds nothing is not known, and no candidate is turned
    back for a share of it that may be usual.
    """
    if candidate.requests >= criteria.at_least:
        allowed = stable.failure_rate + criteria.more_failures
        if candidate.failure_rate > allowed:
            return f"{candidate.failure_rate:.1%} of the requests failed or were degraded, allowed are {allowed:.1%}."
    if candidate.searches < criteria.at_least:
        return None
    allowed = stable.possible_empty_rate + criteria.more_empty
    if candidate.empty_rate > allowed:
        return f"{candidate.empty_rate:.1%} of the searches found nothing, allowed are {allowed:.1%}."
    p95, usual = candidate.p95, stable.p95 if stable.searches >= FEW_SEARCHES else None
    if p95 is not None and usual is not None and p95 > max(usual * criteria.slower, UNNOTICED_SECONDS):
        return f"The 95th percentile of the searches is {p95 * 1000:.0f} ms, of the stable set {usual * 1000:.0f} ms."
    return None
