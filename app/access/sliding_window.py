"""Sliding windows of the rate limiter, and what they say of a request."""

from collections.abc import Sequence
from math import ceil, floor

from msgspec import Struct
from msgspec.structs import replace


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
        """Return the seconds until one more request of this cost fits."""
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

    def advance(self, seconds: float, cost: int) -> "RateLimitResult":
        """Return the result of a request of this cost so many seconds later, in the same fixed windows."""
        windows = [replace(window, since=window.since + seconds, cost=cost) for window in self.windows]
        return RateLimitResult(self.allowed, windows, self.policy)

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
