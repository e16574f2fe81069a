"""Compare every field of every departure in Postgres with the index, and have differences indexed again."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy.dialects.postgresql import insert

from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from indexer.errors import NoLiveIndexError
from indexer.index import admin, outbox
from indexer.index.outbox import DIRECT
from indexer.invalidation_publisher import publish_all_changed
from indexer.jobs.names import VERIFY
from indexer.rebuild import checksums
from indexer.rebuild.paired_scan import PAGE, PagePair, get_realtime, scan
from schemas.tables import JobRun

RECHECKS = 3
"""How often a departure must differ, with no change of it in the outbox, to count as drift."""

Differences = dict[int, tuple[str, ...]]
"""Names of the differing fields, or `MISSING` or `ORPHANED`, by departure id."""

MISSING = "missing"
"""In Postgres, but not in the index."""
ORPHANED = "left over"
"""In the index, but not, or not valid, in Postgres."""


@dataclass(frozen=True)
class VerifyOptions:
    rate: float | None = None
    """Most departures per second."""
    page_size: int = PAGE
    recheck_seconds: float = 0.5
    """Pause between two checks of departures that differ."""
    max_listed: int = 1000
    """Differences that are listed; others are only counted."""


DEFAULT_OPTIONS = VerifyOptions()


@dataclass(frozen=True)
class Difference:
    trip_id: int
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"departure {self.trip_id}: {', '.join(self.fields)}"


@dataclass
class VerifyResult:
    checked: int = 0
    drifted: int = 0
    """Departures that differ, with no change of them in the outbox."""
    differences: list[Difference] = field(default_factory=list)
    lagging: int = 0
    """Departures that differ because a change of them is in the outbox."""
    refused: dict[int, str] = field(default_factory=dict)
    """Invalid departures, and why; they are not in the index, as it should be."""
    repaired: bool = False
    seconds: float = 0.0

    @property
    def in_sync(self) -> bool:
        return self.drifted == 0


async def verify(
    settings: Settings,
    repair: bool,
    *,
    options: VerifyOptions = DEFAULT_OPTIONS,
    progress: Callable[[int], None] = lambda checked: None,
) -> VerifyResult:
    """Verify the live index; `repair` enqueues what drifted, and has all caches filled anew.

    `progress` gets the number of departures checked so far.

    Raises: NoLiveIndexError.
    """
    async with open_backends(settings) as backends:
        name = await admin.live_index(backends.elasticsearch, backends.alias)
        if name is None:
            raise NoLiveIndexError
        verification = _Verification(backends, name, options, VerifyResult(repaired=repair))
        await verification.run(progress)
        await _record_drift(backends, 0 if repair else verification.result.drifted)
    if repair:
        # Writes past the triggers are missing in the caches too, also those of kinds that no document shows.
        async with clients.own_redis(settings, timeout=settings.redis_seconds) as redis:
            await publish_all_changed(redis)
    return verification.result


async def _record_drift(backends: Backends, drifted: int) -> None:
    """Record what drifts now for the metric of all workers; what was repaired drifts no more."""
    row = insert(JobRun).values(name=VERIFY, result=drifted)
    async with backends.postgres.begin() as connection:
        await connection.execute(row.on_conflict_do_update(index_elements=[JobRun.name], set_={"result": drifted}))


@dataclass(frozen=True)
class _Verification:
    backends: Backends
    name: str
    options: VerifyOptions
    result: VerifyResult

    async def run(self, progress: Callable[[int], None]) -> None:
        started = time.monotonic()
        async for page in scan(self.backends, self.name, self.options.page_size):
            await self._check(page)
            progress(self.result.checked)
            if self.options.rate is not None:
                ahead = started + self.result.checked / self.options.rate - time.monotonic()
                await asyncio.sleep(max(0.0, ahead))
        self.result.seconds = time.monotonic() - started

    async def _check(self, page: PagePair) -> None:
        result = self.result
        result.checked += len(page.built.documents.keys() | page.built.rejected.keys() | page.indexed.keys())
        result.refused |= page.built.rejected
        suspects = find_differences(page.built, page.indexed)
        drift = await self._recheck(suspects) if suspects else {}
        result.drifted += len(drift)
        found = [Difference(*difference) for difference in drift.items()]
        result.differences += found[: self.options.max_listed - len(result.differences)]
        if drift and result.repaired:
            async with self.backends.postgres.begin() as connection:
                await outbox.enqueue(connection, drift, lane=DIRECT)

    async def _recheck(self, suspects: Iterable[int]) -> Differences:
        """Return the departures that differ at every check, without a change of them in the outbox.

        A change that is not in the outbox at the moment of the snapshot has been written by then. So a difference is
        drift, or comes from a change after the snapshot, which the next check sees.
        """
        # Columns that are back since the start are in the documents already, and must be read here, too.
        await self.backends.columns.check()
        drift: Differences = dict.fromkeys(suspects, ())
        for _ in range(RECHECKS):
            async with snapshot(self.backends.postgres) as connection:
                pending = await checksums.pending_departures(connection)
                built = await build_documents(connection, drift)
            indexed = await get_realtime(self.backends.elasticsearch, self.name, sorted(drift))
            found = find_differences(built, indexed)
            drift = {
                trip_id: names for trip_id, names in found.items() if pending is not None and trip_id not in pending
            }
            self.result.lagging += len(found) - len(drift)
            if not drift:
                break
            await asyncio.sleep(self.options.recheck_seconds)
        return drift


def find_differences(built: DocumentBatch, indexed: Mapping[int, Mapping[str, Any]]) -> Differences:
    differences: Differences = dict.fromkeys(indexed.keys() - built.documents.keys(), (ORPHANED,))
    for trip_id, document in built.documents.items():
        other = indexed.get(trip_id)
        if other is None:
            differences[trip_id] = (MISSING,)
        elif names := _differing_fields(orjson.loads(document), other):
            differences[trip_id] = names
    return differences


def _differing_fields(document: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    names = (document.keys() | other.keys()) - {"version"}
    # Compared as JSON text, because in Python True == 1.
    return tuple(sorted(name for name in names if _json_text(document.get(name)) != _json_text(other.get(name))))


def _json_text(value: object) -> bytes:
    """Return the value as JSON text, or nothing if it is nested too deeply, which no document is."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return b""
