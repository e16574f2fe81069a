"""Refusals of the last second, so that a client that goes on at once costs Redis nothing."""

from typing import TypeAlias

from msgspec import Struct

from app.access.sliding_window import RateLimitResult

MAX_SECONDS = 1.0
"""How long a refusal holds at most, should the clock of Redis be set or its counters be deleted."""
MAX_CLIENTS = 4096

LimitedClient: TypeAlias = tuple[str, str]
"""Group and name of a client."""


class Refusal(Struct, frozen=True):
    result: RateLimitResult
    cost: int
    at: float
    """When Redis was asked, in seconds of a monotonic clock."""
    seconds: float
    """How long requests of this cost are refused, whatever other processes count meanwhile."""


class RecentRefusals:
    """The clients that were refused last, each with its wait.

    Refused requests are not counted, and others only add to the counts: until the wait is over, none fits.
    """

    def __init__(self) -> None:
        self._by_client: dict[LimitedClient, Refusal] = {}

    def find(self, client: LimitedClient, cost: int, now: float) -> RateLimitResult | None:
        """Return the result of a request that cannot fit yet; None if Redis has to be asked."""
        refusal = self._by_client.get(client)
        if refusal is None or cost < refusal.cost:
            return None
        if now - refusal.at >= refusal.seconds:
            del self._by_client[client]
            return None
        return refusal.result.advance(now - refusal.at, cost)

    def add(self, client: LimitedClient, cost: int, at: float, result: RateLimitResult) -> None:
        """Remember the result of a request that was refused; `at` is the time before Redis was asked."""
        wait = max(window.wait for window in result.windows)
        # Within fixed windows the result can be told from this one.
        rest = min(window.seconds - window.since for window in result.windows)
        if len(self._by_client) >= MAX_CLIENTS:
            del self._by_client[next(iter(self._by_client))]
        self._by_client[client] = Refusal(result, cost, at, min(wait, rest, MAX_SECONDS))
