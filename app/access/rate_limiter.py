"""Rate limiter: sliding windows in Redis, all windows of a request counted in one round trip.

Not the library `limits`: it takes two round trips for each window, and counts a request that another window then
rejects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Literal

from prometheus_client import Counter

from app.backends.redis import ResilientRedis
from core.errors import BackendError
from core.rates import Rate, parse_rates
from core.settings import Settings

FAILURES = Counter("smarttrip_rate_limit_failures_total", "Requests let pass because Redis did not answer")
REFUSALS = Counter("smarttrip_rate_limit_refusals_total", "Requests refused for being too many", ["group"])

SCRIPT = Path(__file__).with_suffix(".lua").read_text()
PREFIX = "smarttrip:limits"

RateLimitGroup = Literal["default", "recommendations", "resources", "events"]
"""Requests of one group are counted together."""


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """A sliding window after a request: the window before counts by the part of it that is still inside."""

    limit: int
    seconds: int
    before: int
    current: int
    since: float
    """Seconds since the current window began."""

    @property
    def used(self) -> float:
        return self.before * (1 - self.since / self.seconds) + self.current

    @property
    def remaining(self) -> int:
        return max(0, floor(self.limit - self.used))

    @property
    def wait(self) -> float:
        """Seconds until one more request fits."""
        room = self.limit - 1
        if self.used <= room:
            return 0
        if self.current <= room:
            return self.seconds * (1 - (room - self.current) / self.before) - self.since
        # Full by itself: it has to become the window before, and then fade.
        return self.seconds * (2 - max(room, 0) / self.current) - self.since if self.current else self.seconds


@dataclass(frozen=True, slots=True)
class RateLimitResult:
    allowed: bool
    windows: Sequence[SlidingWindow]

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
            "RateLimit-Policy": ", ".join(f"{window.limit};w={window.seconds}" for window in self.windows),
        }


class RateLimiter:
    def __init__(self, redis: ResilientRedis, settings: Settings) -> None:
        self._redis = redis
        self._count = redis.client.register_script(SCRIPT)
        self._windows: dict[RateLimitGroup, list[Rate]] = {
            "default": parse_rates(settings.rate_limit_default),
            "recommendations": parse_rates(settings.rate_limit_recommendations),
            "resources": parse_rates(settings.rate_limit_resources),
            "events": parse_rates(settings.rate_limit_events),
        }

    async def hit(self, group: RateLimitGroup, client: str) -> RateLimitResult | None:
        """None when Redis can't say: the request then passes, and the failure is counted."""
        windows = self._windows[group]
        arguments = [number for window in windows for number in window]
        try:
            counted = await self._redis.run_script(self._count, f"{PREFIX}:{group}:{client}", *arguments)
        except BackendError:
            FAILURES.inc()
            return None
        verdict = _verdict(windows, counted)
        if not verdict.allowed:
            REFUSALS.labels(group).inc()
        return verdict


def _verdict(windows: list[Rate], counted: list[int]) -> RateLimitResult:
    allowed, *numbers = counted
    counts = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return RateLimitResult(
        allowed=bool(allowed),
        windows=[
            SlidingWindow(limit, seconds, before, current, milliseconds / 1000)
            for (seconds, limit), (before, current, milliseconds) in zip(windows, counts, strict=True)
        ],
    )
