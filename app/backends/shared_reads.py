"""Reads of rows by their ids: those of the same moment share statements and their round trips."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from app.backends.batching import Batcher
from core.errors import BackendError
from core.request_record import RequestRecord, record_var

Source = TypeVar("Source")
Fetch: TypeAlias = Callable[[Any, Sequence[int]], Awaitable[Mapping[int, bytes]]]
"""`fetch(source, ids)` returns what it finds, by id. A function of a module: there is a batch for each."""

PATIENCE_SECONDS = 0.1
"""Seconds after which others no longer wait for a read: its connection may be dead, and its timeout takes seconds."""
MAX_ROUND_TRIPS = 4
"""Reads of a kind under way at a time, overdue ones included: a pool has five connections by default."""


class SharedReads(Generic[Source]):
    def __init__(self, source: Source) -> None:
        self._source = source
        self._batchers: dict[Fetch, Batcher[int, bytes | None]] = {}

    async def get(self, fetch: Fetch, row_id: int) -> bytes | None:
        """Return what `fetch` finds for the id, or None. Raises what `fetch` raises."""
        batcher = self._batchers.get(fetch)
        if batcher is None:
            batcher = Batcher(
                partial(self._round_trip, fetch), Context, patience=PATIENCE_SECONDS, most=MAX_ROUND_TRIPS
            )
            self._batchers[fetch] = batcher
        return await batcher.submit(row_id)

    async def close(self) -> None:
        """End what is under way. Callers must not be waiting any more."""
        for batcher in self._batchers.values():
            await batcher.close()

    async def _round_trip(self, fetch: Fetch, ids: Sequence[int]) -> Sequence[bytes | Exception | None]:
        # What it costs is nobody's alone, but it is done for requests.
        record_var.set(RequestRecord())
        try:
            found = await fetch(self._source, ids)
        except BackendError:
            # An outage concerns all requests, also those that have arrived meanwhile.
            raise
        except Exception as error:  # noqa: BLE001  # raised in `get`
            # What one row causes concerns its own request.
            if len(ids) == 1:
                return [error]
            return [await self._read_alone(fetch, row_id) for row_id in ids]
        return [found.get(row_id) for row_id in ids]

    async def _read_alone(self, fetch: Fetch, row_id: int) -> bytes | Exception | None:
        try:
            (result,) = await self._round_trip(fetch, [row_id])
        except BackendError as error:
            return error
        return result
