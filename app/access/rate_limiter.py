"""Rate limiter: sliding windows in Redis; all windows of a request are counted in one round trip.

The library `limits` takes two round trips for each window, and counts a request that another window then rejects.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple, get_args

from prometheus_client import Counter, Gauge

from app.access.recent_refusals import RecentRefusals
from app.access.sliding_window import RateLimitResult, SlidingWindow
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
        self._refusals = RecentRefusals()
        _report_limits(rates)

    async def check(
        self, group: RateLimitGroup, client: str, network: str | None = None, *, cost: int = 1
    ) -> RateLimitResult | None:
        """Count a request; return whether it is allowed, or None if Redis fails and the request is admitted.

        It counts `cost` times for `client`, and for the `network` with wider limits if there is one. A client that was
        refused a moment ago is refused again without asking Redis.
        """
        asked_at = monotonic()
        result = self._refusals.find((group, client), cost, asked_at)
        if result is None:
            result = await self._count_in_redis(group, client, network, cost)
            if result is None:
                FAILURES.inc()
                _decisions[group, "unlimited"].inc()
                return None
            if not result.allowed:
                self._refusals.add((group, client), cost, asked_at, result)
        _decisions[group, "allowed" if result.allowed else "refused"].inc()
        if not result.allowed:
            REJECTED.labels(group).inc()
        return result

    async def _count_in_redis(
        self, group: RateLimitGroup, client: str, network: str | None, cost: int
    ) -> RateLimitResult | None:
        """Count a request in Redis; return whether it is allowed, or None if Redis fails."""
        names = (client,) if network is None else (client, network)
        keys = [f"{self._prefix}:{group}:{name}" for name in names]
        limits = self._limits[group, network is not None]
        try:
            counted = await self._redis.run_script(self._count, keys, cost, *limits.arguments)
        except BackendError:
            return None
        return _parse_result(limits, counted, cost)


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
