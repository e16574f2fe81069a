import asyncio
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.errors import NoLiveIndexError
from indexer.index import bulk_writer, versions
from indexer.observability import outbox_metrics
from indexer.rebuild import paired_scan
from indexer.rebuild import verify as module
from indexer.rebuild.verify import VerifyOptions, VerifyResult
from tests.indexer.index.test_bulk_writer import document
from tests.support.factories import CatalogueFactory
from tests.support.sync import drain, execute, indexed, waiting

OPTIONS = VerifyOptions(page_size=4, recheck_seconds=0.05)


async def verify(settings: Settings, repair: bool) -> VerifyResult:
    """Verify in pages so small that there are several."""
    return await module.verify(settings, repair, options=OPTIONS)


@pytest.fixture
async def trips(catalogue: CatalogueFactory, backends: Backends, index: str) -> list[int]:
    """Departures that searches find."""
    template = await catalogue.template()
    trips = [await catalogue.occurrence(trip_template_id=template) for _ in range(10)]
    await drain(backends)
    await backends.elasticsearch.indices.refresh(index=index)
    return trips


def found(report: VerifyResult) -> dict[int, tuple[str, ...]]:
    return {difference.trip_id: difference.fields for difference in report.differences}


async def tamper(backends: Backends, index: str, trip_id: int, **fields: Any) -> None:
    """Change a document behind the indexer's back."""
    await backends.elasticsearch.update(index=index, id=str(trip_id), doc=fields, refresh=True)


async def write_orphans(backends: Backends, index: str, ids: list[int]) -> None:
    documents = {trip_id: document(trip_id) for trip_id in ids}
    await bulk_writer.write(backends.elasticsearch, [index], await versions.next_version(backends.postgres), documents)
    await backends.elasticsearch.indices.refresh(index=index)


async def test_index_in_sync_is_reported(settings: Settings, trips: list[int]) -> None:
    report = await verify(settings, repair=False)
    assert report.in_sync
    assert (report.checked, report.drifted, report.lagging, report.differences) == (len(trips), 0, 0, [])


@pytest.mark.parametrize("field", ["spots", "trip", "status", "themes", "country"])
async def test_differing_field_is_drift(
    settings: Settings, backends: Backends, index: str, trips: list[int], field: str
) -> None:
    await tamper(backends, index, trips[5], **{field: "7"})
    report = await verify(settings, repair=False)
    assert not report.in_sync
    assert found(report) == {trips[5]: (field,)}


async def test_missing_and_orphaned_documents_are_drift(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    es = backends.elasticsearch
    await es.delete(index=index, id=str(trips[0]), refresh=True)
    orphans = [trips[-1] + number for number in range(1, 30)]
    await write_orphans(backends, index, orphans)
    report = await verify(settings, repair=False)
    assert found(report) == {trips[0]: ("missing",), **dict.fromkeys(orphans, ("left over",))}
    assert report.drifted == 30


async def test_empty_index_is_all_drift(settings: Settings, backends: Backends, index: str, trips: list[int]) -> None:
    for trip_id in trips:
        await backends.elasticsearch.delete(index=index, id=str(trip_id), refresh=True)
    assert (await verify(settings, repair=False)).drifted == len(trips)


async def test_change_in_outbox_is_lag(settings: Settings, backends: Backends, trips: list[int]) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 99 WHERE id = :id", id=trips[2])
    await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :id", id=trips[3])
    report = await verify(settings, repair=False)
    assert report.in_sync
    assert report.lagging == 2


async def test_fan_out_in_outbox_is_lag(settings: Settings, backends: Backends, trips: list[int]) -> None:
    await execute(backends.postgres, "UPDATE trip_templates SET title = 'New'")
    report = await verify(settings, repair=False)
    assert (report.drifted, report.lagging) == (0, len(trips))


async def test_change_during_scan_is_no_drift(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = build_documents

    async def read(*arguments: Any) -> Any:
        reading = await real(*arguments)
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = spots_left + 1")
        await drain(backends)
        return reading

    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 50")
    await drain(backends)
    with monkeypatch.context() as patch:
        patch.setattr(paired_scan, "build_documents", read)
        report = await verify(settings, repair=False)
    assert report.in_sync


async def test_repair_enqueues_drifted_departures(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    await tamper(backends, index, trips[1], spots=999)
    await backends.elasticsearch.delete(index=index, id=str(trips[2]), refresh=True)
    orphan = trips[-1] + 1
    await write_orphans(backends, index, [orphan])
    report = await verify(settings, repair=True)
    assert (report.drifted, report.repaired) == (3, True)
    assert await waiting(backends.postgres) == 3
    await drain(backends)
    assert (await indexed(backends)).keys() == set(trips)
    assert (await verify(settings, repair=False)).in_sync


async def test_verify_without_repair_changes_nothing(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    await tamper(backends, index, trips[1], spots=999)
    await verify(settings, repair=False)
    assert await waiting(backends.postgres) == 0


async def test_invalid_departure_is_no_drift(settings: Settings, backends: Backends, trips: list[int]) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = :id", id=trips[2])
    await drain(backends)
    await indexed(backends)
    report = await verify(settings, repair=False)
    assert report.in_sync
    assert report.refused.keys() == {trips[2]}


async def test_listed_differences_are_bounded(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    few = replace(OPTIONS, max_listed=3)
    for trip_id in trips:
        await backends.elasticsearch.delete(index=index, id=str(trip_id), refresh=True)
    report = await module.verify(settings, repair=False, options=few)
    assert (len(report.differences), report.drifted) == (3, len(trips))


async def test_rate_limits_verification(settings: Settings, trips: list[int]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    reports: list[int] = []
    await module.verify(settings, repair=False, options=replace(OPTIONS, rate=20.0), progress=reports.append)
    assert loop.time() - started >= len(trips) / 20.0
    assert reports[-1] == len(trips)


async def test_verify_without_index_raises(settings: Settings, backends: Backends, no_index: None) -> None:
    with pytest.raises(NoLiveIndexError):
        await verify(settings, repair=False)


async def test_drift_metric_is_zero_after_repair(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    await backends.elasticsearch.delete(index=index, id=str(trips[0]), refresh=True)
    for repair, drifted in ((False, 1), (True, 0)):
        await verify(settings, repair=repair)
        await outbox_metrics.collect_outbox(backends.postgres)
        assert REGISTRY.get_sample_value("smarttrip_index_drifted_departures") == drifted
