"""Compares Postgres with the index, every field of every departure, and has read again what differs."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from core.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from indexer.errors import NoLiveIndexError
from indexer.index import admin, outbox
from indexer.index.outbox import DIRECT
from indexer.rebuild import checksums
from indexer.rebuild.paired_scan import PagePair, get_realtime, scan

log = structlog.get_logger()

RECHECKS = 3
"""How often a departure must differ, with no change of it under way, to count as drift."""
LOOK_SECONDS = 0.5
LISTED = 1000
"""Differences that are told one by one; the rest is only counted."""

Differences = dict[int, tuple[str, ...]]

MISSING = "missing"
ORPHANED = "left over"


@dataclass(frozen=True)
class Difference:
    trip_id: int
    fields: tuple[str, ...]
    """Those that differ, or `missing` in the index, or `left over` there."""

    def __str__(self) -> str:
        return f"departure {self.trip_id}: {', '.join(self.fields)}"


@dataclass
class VerifyResult:
    checked: int = 0
    drifted: int = 0
    """Departures that differ though nothing that the outbox knows of is under way."""
    differences: list[Difference] = field(default_factory=list)
    lagging: int = 0
    """Departures that differ because their change is still on its way."""
    refused: dict[int, str] = field(default_factory=dict)
    """Departures that can't be shown, and why; they are not in the index, as it should be."""
    repaired: bool = False
    seconds: float = 0.0

    @property
    def in_sync(self) -> bool:
        return self.drifted == 0


async def verify(
    settings: Settings,
    repair: bool,
    *,
    rate: float | None = None,
    progress: Callable[[int], None] = lambda checked: None,
) -> VerifyResult:
    """At most `rate` departures a second; `progress` hears how many are checked. Raises NoLiveIndex."""
    async with open_backends(settings) as stores:
        return await _verify(stores, repair, rate, progress)


async def _verify(stores: Backends, repair: bool, rate: float | None, progress: Callable[[int], None]) -> VerifyResult:
    started = time.monotonic()
    report = VerifyResult(repaired=repair)
    name = await admin.live_index(stores.elasticsearch, stores.alias)
    if name is None:
        raise NoLiveIndexError
    async for page in scan(stores, name):
        await _check(stores, name, page, report)
        progress(report.checked)
        if rate is not None:
            await asyncio.sleep(max(0.0, started + report.checked / rate - time.monotonic()))
    report.seconds = time.monotonic() - started
    return report


async def _check(stores: Backends, name: str, page: PagePair, report: VerifyResult) -> None:
    report.checked += len(page.reading.documents.keys() | page.reading.rejected.keys() | page.indexed.keys())
    report.refused |= page.reading.rejected
    suspects = find_differences(page.reading, page.indexed)
    drift = await _recheck(stores, name, suspects.keys(), report) if suspects else {}
    report.drifted += len(drift)
    report.differences += [Difference(*found) for found in drift.items()][: LISTED - len(report.differences)]
    if drift and report.repaired:
        async with stores.postgres.begin() as connection:
            await outbox.enqueue(connection, drift, lane=DIRECT)


def find_differences(reading: DocumentBatch, indexed: Mapping[int, Mapping[str, Any]]) -> Differences:
    """The fields that differ, by departure id."""
    found: Differences = dict.fromkeys(indexed.keys() - reading.documents.keys(), (ORPHANED,))
    for trip_id, document in reading.documents.items():
        other = indexed.get(trip_id)
        if other is None:
            found[trip_id] = (MISSING,)
        elif fields := _differing_fields(orjson.loads(document), other):
            found[trip_id] = fields
    return found


def _differing_fields(document: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    names = (document.keys() | other.keys()) - {"version"}
    # As text: for Python true is 1.
    return tuple(sorted(name for name in names if orjson.dumps(document.get(name)) != orjson.dumps(other.get(name))))


async def _recheck(stores: Backends, name: str, suspects: Iterable[int], report: VerifyResult) -> Differences:
    """Those that differ at every look without a change under way.

    What the outbox doesn't know of at the moment of the snapshot has been written by then. So a difference is drift,
    or comes from a change after the snapshot, which the next look sees.
    """
    drift: Differences = dict.fromkeys(suspects, ())
    for _ in range(RECHECKS):
        async with snapshot(stores.postgres) as connection:
            waiting = await checksums.pending_departures(connection)
            reading = await build_documents(connection, drift)
        found = find_differences(reading, await get_realtime(stores.elasticsearch, name, sorted(drift)))
        drift = {trip_id: fields for trip_id, fields in found.items() if waiting is not None and trip_id not in waiting}
        report.lagging += len(found) - len(drift)
        if not drift:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return drift
