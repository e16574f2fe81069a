"""The way past Redis: straight into Postgres. What comes while one transaction runs goes into the next, together."""

import asyncio
from collections.abc import Sequence

from app.database import Database, database_errors
from app.errors import overloaded
from indexer.tracking.store import store
from indexer.tracking.stream import Entry

MAX_WAITING = 50
"""Callers."""

SECONDS = 3.0
"""Longest time of a transaction."""


class DirectStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._one_at_a_time = asyncio.Lock()
        self._collected: list[Entry] = []
        self._next: asyncio.Task[None] | None = None
        self._waiting = 0

    async def store(self, entries: Sequence[Entry]) -> None:
        """Raises 503 as ApiError."""
        if self._waiting >= MAX_WAITING:
            raise overloaded()
        self._collected += entries
        if self._next is None:
            self._next = asyncio.create_task(self._store_collected())
            self._next.add_done_callback(_mark_as_seen)
        self._waiting += 1
        try:
            # A caller who gives up takes nothing away from the others.
            await asyncio.shield(self._next)
        finally:
            self._waiting -= 1

    async def _store_collected(self) -> None:
        async with self._one_at_a_time:
            entries, self._collected, self._next = self._collected, [], None
            with self._database.breaker.guard(), database_errors():
                async with asyncio.timeout(SECONDS):
                    await store(self._database.primary, entries)


def _mark_as_seen(task: asyncio.Task[None]) -> None:
    """Its failure, for when every caller has given up."""
    if not task.cancelled():
        task.exception()
