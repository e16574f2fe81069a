"""Prices that a drill writes, each of them once, so that a price that is shown tells how old it is."""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg

CHANGE = "UPDATE trip_occurrences SET price_override = $1 WHERE id = $2"


@dataclass
class Change:
    price: Decimal
    committed: float | None = None
    """When the writer knew that it was committed, on the monotonic clock; None if it does not know."""


@dataclass
class Prices:
    _changes: dict[int, list[Change]] = field(default_factory=lambda: defaultdict(list))
    """Of each departure, oldest first."""
    _prices: Iterator[int] = field(default_factory=lambda: itertools.count(1000))
    _first: dict[int, Decimal] = field(default_factory=dict)
    """What was shown of each departure before all changes."""

    def note_first(self, departure: int, shown: str) -> None:
        """Note a price that was shown before the departure's price was ever changed."""
        if departure not in self._changes:
            self._first[departure] = Decimal(shown)

    def is_known(self, departure: int, shown: str) -> bool:
        """Return whether the departure has ever had the price."""
        price = Decimal(shown)
        return price == self._first.get(departure) or any(
            change.price == price for change in self._changes.get(departure, ())
        )

    async def change(self, connection: "asyncpg.Connection[Any]", departure: int) -> None:
        """Give the departure the next price. Raises: OSError, asyncpg.PostgresError."""
        change = Change(Decimal(next(self._prices)))
        self._changes[departure].append(change)
        await connection.execute(CHANGE, change.price, departure)
        change.committed = time.monotonic()

    async def lost_changes(self, database_url: str) -> int:
        """Return how many departures have an older price than the last one whose commit was confirmed."""
        last = {
            departure: max(change.price for change in changes if change.committed is not None)
            for departure, changes in self._changes.items()
            if any(change.committed is not None for change in changes)
        }
        connection = await asyncpg.connect(database_url)
        try:
            rows = await connection.fetch("SELECT id, price_override FROM trip_occurrences WHERE id = ANY($1)", [*last])
        finally:
            await connection.close()
        stored = {row["id"]: row["price_override"] for row in rows}
        return sum((stored.get(departure) or 0) < price for departure, price in last.items())

    def stale_seconds(self, departure: int, shown: str, asked: float) -> float:
        """Return for how long a later price had been committed when a request was sent whose response shows `shown`."""
        changes = self._changes.get(departure, [])
        price = Decimal(shown)
        position = next((at for at, change in enumerate(changes) if change.price == price), -1)
        later = [change.committed for change in changes[position + 1 :] if change.committed is not None]
        return max(0.0, asked - min(later)) if later else 0.0
