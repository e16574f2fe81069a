"""Rate limiter: sliding windows in Redis; all windows of a request are counted in one round trip.

The library `limits` takes two round trips for each window, and counts a request that another window then rejects.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from msgspec import Struct
from prometheus_client import Counter, Gauge

from app.backends.redis import ResilientRedis
from core.clients import redis_key
from core.configuration.rates import Rate, parse_rates
from core.configuration.settings import Settings
from core.errors import BackendError
from core.metrics.labels import with_values

FAILURES = Counter("smarttrip_rate_limit_failures_total", "Requests let pass because Redis did not answer")

SCRIPT = Path(__file__).with_suffix(".lua").read_text()
PREFIX = "smarttrip:limits"

NETWORK_FACTOR = 16
"""How many times a client's limits apply to the network that it is part of, for all its clients together.

Small enough that somebody with a whole network of addresses gains little, and large enough for an office.
"""

RateLimitGroup = Literal["default", "recommendations", "resources", "events", "event_count", "evaluation"]
"""Requests of the same group share their limits."""

Decision = Literal["allowed", "refused", "unlimited"]
"""`unlimited`: admitted without being counted, since Redis did not respond."""

DECISIONS = with_values(
    Counter("smarttrip_rate_limit_decisions_total", "Requests by what the rate limiter decided", ["group", "decision"]),
    get_args(RateLimitGroup),
    get_args(Decision),
)
_decisions = {
    (group, decision): DECISIONS.labels(group, decision)
    for group in get_args(RateLimitGroup)
    for decision in get_args(Decision)
}
LIMIT = Gauge(
    "smarttrip_rate_limit_requests",
    "Requests that a client may make in a window, by its length in seconds",
    ["group", "window"],
    multiprocess_mode="livemax",
)
REJECTED = with_values(
    Counter("smarttrip_rate_limit_refusals_total", "Requests refused for being too many", ["group"]),
    get_args(RateLimitGroup),
)


class SlidingWindow(Struct, frozen=True):
    """A sliding window after a request.

    It is approximated by two fixed windows: the previous one counts in proportion to the part that still overlaps.
    """

    limit: int
    seconds: int
    previous: int
    """Requests in the previous fixed window."""
    current: int
    """Requests in the current fixed window."""
    since: float
    """Seconds since the current fixed window began."""
    cost: int = 1
    """Of a request."""

    @property
    def used(self) -> float:
        return self.previous * (1 - self.since / self.seconds) + self.current

    @property
    def remaining(self) -> int:
        return max(0, floor(self.limit - self.used))

    @property
    def wait(self) -> float:
        """Seconds until one more request of this cost fits."""
        allowed = self.limit - self.cost
        if self.used <= allowed:
            return 0
        if self.current <= allowed:
            return self.seconds * (1 - (allowed - self.current) / self.previous) - self.since
        # The current window alone is full: it has to become the previous one, and its share to shrink.
        return self.seconds * (2 - max(allowed, 0) / self.current) - self.since if self.current else self.seconds


class RateLimitResult(Struct, frozen=True):
    allowed: bool
    windows: Sequence[SlidingWindow]
    policy: str = ""
    """The client's own limits, as the header RateLimit-Policy gives them."""

    @property
    def tightest(self) -> SlidingWindow:
        return min(self.windows, key=lambda window: (window.remaining, -window.wait))

    @property
    def retry_after(self) -> int:
        return max(1, ceil(max(window.wait for window in self.windows)))

    @property
    def headers(self) -> dict[str, str]:
        tightest = self.tightest
        reset = self.retry_after if not self.allowed else ceil(tightest.seconds - tightest.since)
        return {
            "RateLimit-Limit": str(tightest.limit),
            "RateLimit-Remaining": str(tightest.remaining),
            "RateLimit-Reset": str(reset),
            "RateLimit-Policy": self.policy,
        }


class GroupLimits(NamedTuple):
    """Limits of a group as the script and the responses need them, so that no request builds them anew."""

    rates: Sequence[Rate]
    """Those of the client, then the wider ones of its network, if it is counted."""
    arguments: Sequence[int]
    """Of the script, for each rate: the number of its key, seconds and limit."""
    policy: str


def _group_limits(rates: Sequence[Rate], *, with_network: bool) -> GroupLimits:
    of_network = [Rate(rate.seconds, rate.amount * NETWORK_FACTOR) for rate in rates] if with_network else []
    by_key = [(1, rate) for rate in rates] + [(2, rate) for rate in of_network]
    return GroupLimits(
        rates=[*rates, *of_network],
        arguments=[number for key, rate in by_key for number in (key, *rate)],
        policy=", ".join(f"{rate.amount};w={rate.seconds}" for rate in rates),
    )


class RateLimiter:
    def __init__(self, redis: ResilientRedis, settings: Settings) -> None:
        self._redis = redis
        self._prefix = redis_key(redis.client, PREFIX)
        self._count = redis.client.register_script(SCRIPT)
        rates: dict[RateLimitGroup, list[Rate]] = {
            "default": parse_rates(settings.rate_limit_default),
            "recommendations": parse_rates(settings.rate_limit_recommendations),
            "resources": parse_rates(settings.rate_limit_resources),
            "events": parse_rates(settings.rate_limit_events),
            "event_count": parse_rates(settings.rate_limit_event_count),
            "evaluation": parse_rates(settings.rate_limit_evaluation),
        }
        self._limits = {
            (group, with_network): _group_limits(rates[group], with_network=with_network)
            for group in rates
            for with_network in (False, True)
        }
        _report_limits(rates)

    async def check(
        self, group: RateLimitGroup, client: str, network: str | None = None, *, cost: int = 1
    ) -> RateLimitResult | None:
        """Count a request; return whether it is allowed, or None if Redis fails and the request is admitted.

        It counts `cost` times for `client`, and for the `network` with wider limits if there is one.
        """
        names = (client,) if network is None else (client, network)
        keys = [f"{self._prefix}:{group}:{name}" for name in names]
        limits = self._limits[group, network is not None]
        try:
            counted = await self._redis.run_script(self._count, keys, cost, *limits.arguments)
        except BackendError:
            FAILURES.inc()
            _decisions[group, "unlimited"].inc()
            return None
        result = _parse_result(limits, counted, cost)
        _decisions[group, "allowed" if result.allowed else "refused"].inc()
        if not result.allowed:
            REJECTED.labels(group).inc()
        return result


def _report_limits(rates_by_group: Mapping[RateLimitGroup, Sequence[Rate]]) -> None:
    for group, rates in rates_by_group.items():
        for rate in rates:
            with_values(LIMIT, [group], [rate.seconds])
            LIMIT.labels(group, rate.seconds).set(rate.amount)


def _parse_result(limits: GroupLimits, counted: list[int], cost: int) -> RateLimitResult:
    allowed, *numbers = counted
    counts = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    windows = [
        SlidingWindow(limit, seconds, previous, current, milliseconds / 1000, cost)
        for (seconds, limit), (previous, current, milliseconds) in zip(limits.rates, counts, strict=True)
    ]
    return RateLimitResult(bool(allowed), windows, limits.policy)
