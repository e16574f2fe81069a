"""Limit on requests whose bodies are arriving: slow clients must not take the places of others."""

from typing import Protocol

from core.configuration.settings import Settings


class Receiver(Protocol):
    def end_receiving(self) -> None: ...


def receiving_limit(settings: Settings) -> int:
    """Return how many requests may be arriving: half of those that may be in flight."""
    return max(1, settings.max_requests_in_flight // 2)


class ReceivingLimit:
    """Limits the connections on which the application waits for a body: one too many ends the slowest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._receiving: dict[Receiver, None] = {}

    def add(self, connection: Receiver) -> None:
        """End the request that has been received for longest, if there is one more than the limit."""
        if len(self._receiving) >= self._limit:
            longest = next(iter(self._receiving))
            del self._receiving[longest]
            longest.end_receiving()
        self._receiving[connection] = None

    def discard(self, connection: Receiver) -> None:
        """Forget a connection whose body is complete, or needed no more."""
        self._receiving.pop(connection, None)
