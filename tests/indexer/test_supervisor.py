import asyncio

import pytest
from sqlalchemy import make_url
from structlog.testing import capture_logs

from core.concurrency.tasks import background_task, cancel_and_wait
from core.configuration.settings import Settings
from indexer import metrics
from indexer import supervisor as module
from indexer.backends import Backends
from indexer.errors import DirectUrlMismatchError, IndexUnavailableError
from indexer.feed.batch import process_batch
from indexer.index import bulk_writer, versions
from indexer.index.admin import (
    all_names,
    history_index,
    live_index,
    new_name,
    number_of_shards,
    swap_alias,
)
from indexer.index.reconcile import IndexProblem, find_problem, rebuild_connection, servers_work
from indexer.index.targets import TargetState, read_targets
from indexer.rebuild.reindex import reindex
from indexer.supervisor import IndexSupervisor
from tests.indexer.index.test_bulk_writer import document
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress


@pytest.fixture
async def trips(catalogue: CatalogueFactory, backends: Backends, index: str) -> list[int]:
    trips = [await catalogue.occurrence() for _ in range(3)]
    await drain(backends)
    await backends.elasticsearch.indices.refresh(index=index)
    return trips


async def in_use(backends: Backends) -> str | None:
    return await live_index(backends.elasticsearch, backends.alias)


async def test_trusted_index_is_left_alone(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    assert await find_problem(backends) is None
    await IndexSupervisor(settings, backends).check()
    assert await in_use(backends) == index


async def test_first_index_is_built(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, no_index: None
) -> None:
    await catalogue.occurrence()
    assert await find_problem(backends) is IndexProblem.NO_INDEX
    await IndexSupervisor(settings, backends).check()
    await drain(backends)
    await assert_in_sync(settings)


async def test_dropped_index_is_rebuilt(settings: Settings, backends: Backends, index: str, trips: list[int]) -> None:
    await backends.elasticsearch.indices.delete(index=index)
    assert await find_problem(backends) is IndexProblem.NO_INDEX
    await IndexSupervisor(settings, backends).check()
    await assert_in_sync(settings)


async def test_previous_index_replaces_a_deleted_one(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    current = (await reindex(settings, ignore_progress)).name
    await backends.elasticsearch.indices.delete(index=current)
    await IndexSupervisor(settings, backends).check()
    assert await in_use(backends) == index
    await drain(backends)
    await assert_in_sync(settings)


async def test_index_without_history_is_rebuilt(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    await backends.elasticsearch.indices.delete(index=history_index(index))
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    batch = await process_batch(backends, retry=True)
    assert batch.failed_entirely
    await IndexSupervisor(settings, backends).check()
    assert await in_use(backends) != index
    await drain(backends)
    await assert_in_sync(settings)


async def test_killed_rollback_is_reconciled(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    current = (await reindex(settings, ignore_progress)).name
    await swap_alias(backends.elasticsearch, backends.alias, current, index)
    await IndexSupervisor(settings, backends).check()
    async with backends.postgres.connect() as connection:
        known = {target.name: target.state for target in await read_targets(connection)}
    assert known == {index: TargetState.LIVE, current: TargetState.PREVIOUS}


async def test_restored_postgres_causes_rebuild(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    later = await versions.next_version(backends.postgres) + 100
    await bulk_writer.write(backends.elasticsearch, [index], later, {9999: document(9999)})
    await backends.elasticsearch.indices.refresh(index=index)
    assert await find_problem(backends) is IndexProblem.SET_BACK
    await IndexSupervisor(settings, backends).check()
    await assert_in_sync(settings)
    assert await all_names(backends.elasticsearch, backends.alias) == {await in_use(backends)}


@pytest.mark.parametrize("meta", [{"timeline": 0}, {"system": "another"}], ids=["timeline", "system"])
async def test_other_postgres_causes_rebuild(
    settings: Settings, backends: Backends, index: str, trips: list[int], meta: dict[str, str | int]
) -> None:
    found = await backends.elasticsearch.indices.get_mapping(index=index)
    made_from = found[index]["mappings"]["_meta"]
    await backends.elasticsearch.indices.put_mapping(index=index, meta={**made_from, **meta})
    assert await find_problem(backends) is IndexProblem.OTHER_POSTGRES
    await IndexSupervisor(settings, backends).check()
    await assert_in_sync(settings)
    assert await find_problem(backends) is None


async def test_unregistered_index_is_rebuilt(settings: Settings, backends: Backends, trips: list[int]) -> None:
    await execute(backends.postgres, "DELETE FROM smarttrip.index_targets")
    assert await find_problem(backends) is IndexProblem.UNKNOWN
    await IndexSupervisor(settings, backends).check()
    await assert_in_sync(settings)


async def test_index_of_other_version_is_left_alone(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    other = f"{settings.elasticsearch_alias}-v999-20261124000000000000"
    await backends.elasticsearch.indices.create(index=other, aliases={f"{settings.elasticsearch_alias}-v999": {}})
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.index_targets (name, state, mapping_hash) VALUES (:name, 'live', '999')",
        name=other,
    )
    supervisor = IndexSupervisor(settings, backends)
    await supervisor.check()
    assert await in_use(backends) == index
    supervisor.request_reindex()
    await supervisor.check()
    assert await in_use(backends) != index
    assert await live_index(backends.elasticsearch, f"{settings.elasticsearch_alias}-v999") == other
    async with backends.postgres.connect() as connection:
        assert other in {target.name for target in await read_targets(connection)}


async def test_killed_rebuild_is_cleaned_up(
    settings: Settings, backends: Backends, index: str, trips: list[int]
) -> None:
    left = new_name(backends.alias)
    await backends.elasticsearch.indices.create(index=left)
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.index_targets (name, state, mapping_hash) VALUES (:name, :state, 'any')",
        name=left,
        state=TargetState.BUILDING,
    )
    await IndexSupervisor(settings, backends).check()
    assert await all_names(backends.elasticsearch, backends.alias) == {index}
    await drain(backends)


async def test_running_rebuild_is_left_alone(settings: Settings, backends: Backends, index: str) -> None:
    async with rebuild_connection(settings):
        await execute(
            backends.postgres,
            "INSERT INTO smarttrip.index_targets (name, state, mapping_hash) VALUES ('new', 'building', 'any')",
        )
        await IndexSupervisor(settings, backends).check()
        async with backends.postgres.connect() as connection:
            found = await connection.exec_driver_sql("SELECT count(*) FROM smarttrip.index_targets")
            assert found.scalar() == 2


async def test_requested_check_is_made_at_once(settings: Settings, backends: Backends, index: str) -> None:
    supervisor = IndexSupervisor(settings, backends, min_interval_seconds=0.05)
    running = asyncio.create_task(supervisor.run())
    try:
        await asyncio.sleep(0)
        await backends.elasticsearch.indices.delete(index=index)
        supervisor.request_check()

        async def built_again() -> bool:
            return await in_use(backends) is not None

        await eventually(built_again, within=10)
    finally:
        await cancel_and_wait([running])


async def test_rebuild_that_is_refused_is_not_counted(settings: Settings, backends: Backends, index: str) -> None:
    other = make_url(settings.database_url).set(database="postgres").render_as_string(hide_password=False)
    supervisor = IndexSupervisor(settings.model_copy(update={"database_direct_url": other}), backends)
    supervisor.request_reindex()
    begun = metrics.REBUILDS.labels(metrics.REQUESTED)._value.get()
    with pytest.raises(DirectUrlMismatchError):
        await supervisor.check()
    assert metrics.REBUILDS.labels(metrics.REQUESTED)._value.get() == begun
    assert await in_use(backends) == index


async def test_rebuild_of_another_worker_is_not_counted(settings: Settings, backends: Backends, index: str) -> None:
    supervisor = IndexSupervisor(settings, backends)
    supervisor.request_reindex()
    begun = metrics.REBUILDS.labels(metrics.REQUESTED)._value.get()
    async with rebuild_connection(settings):
        await supervisor.check()
    assert metrics.REBUILDS.labels(metrics.REQUESTED)._value.get() == begun
    await supervisor.check()
    assert metrics.REBUILDS.labels(metrics.REQUESTED)._value.get() == begun + 1


class FailingReindex:
    """Stands in for the reindex: fails as often as it is told to, and counts."""

    def __init__(self, failures: int) -> None:
        self.runs = 0
        self._failures = failures

    async def __call__(self, *arguments: object) -> None:
        self.runs += 1
        if self.runs <= self._failures:
            raise IndexUnavailableError("the disk is full")


@pytest.fixture
def supervisor_backing_off(
    settings: Settings, backends: Backends, index: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[IndexSupervisor, FailingReindex]:
    """A supervisor that has failed often: its next pause is the longest."""
    failing = FailingReindex(failures=1)
    monkeypatch.setattr(module, "reindex", failing)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    supervisor = IndexSupervisor(settings, backends, min_interval_seconds=0.05)
    supervisor._failures = 10
    supervisor.request_reindex()
    return supervisor, failing


async def test_requested_reindex_ends_the_back_off(
    supervisor_backing_off: tuple[IndexSupervisor, FailingReindex],
) -> None:
    supervisor, failing = supervisor_backing_off
    async with background_task(supervisor.run()):
        await eventually(lambda: failing.runs == 1)
        await eventually(lambda: supervisor._failures == 11)
        supervisor.request_reindex()
        await eventually(lambda: failing.runs == 2)


async def test_recovery_ends_the_back_off(
    supervisor_backing_off: tuple[IndexSupervisor, FailingReindex], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, failing = supervisor_backing_off
    works = False

    async def servers_work(*arguments: object) -> bool:
        return works

    monkeypatch.setattr(module, "servers_work", servers_work)
    async with background_task(supervisor.run()):
        await eventually(lambda: supervisor._failures == 11)
        works = True
        await eventually(lambda: failing.runs == 2)


async def test_back_off_lasts_while_servers_work(
    supervisor_backing_off: tuple[IndexSupervisor, FailingReindex],
) -> None:
    supervisor, failing = supervisor_backing_off
    async with background_task(supervisor.run()):
        await eventually(lambda: supervisor._failures == 11)
        await asyncio.sleep(0.3)
    assert failing.runs == 1


@pytest.mark.parametrize("block", ["read_only", "read_only_allow_delete", "write"])
async def test_blocked_index_counts_as_down(settings: Settings, backends: Backends, index: str, block: str) -> None:
    assert await servers_work(settings, backends)
    history, setting = history_index(index), f"index.blocks.{block}"
    await backends.elasticsearch.indices.put_settings(index=history, settings={setting: True})
    try:
        assert not await servers_work(settings, backends)
    finally:
        await backends.elasticsearch.indices.put_settings(index=history, settings={setting: None})


async def test_requested_reindex_ignores_index_state(settings: Settings, backends: Backends, index: str) -> None:
    supervisor = IndexSupervisor(settings, backends)
    supervisor.request_reindex()
    await supervisor.check()
    assert await in_use(backends) != index
    made = await in_use(backends)
    await supervisor.check()
    assert await in_use(backends) == made


async def test_shards_change_with_the_next_rebuild_and_the_log_says_so(
    settings: Settings, backends: Backends, index: str
) -> None:
    supervisor = IndexSupervisor(settings.model_copy(update={"elasticsearch_shards": 3}), backends)
    with capture_logs() as lines:
        await supervisor.check()
        await supervisor.check()
    assert await in_use(backends) == index
    assert [line for line in lines if line["event"] == "index_shards_differ"] == [
        {
            "event": "index_shards_differ",
            "log_level": "warning",
            "shards": 1,
            "setting": 3,
            "hint": "they change with the next reindex",
        }
    ]
    supervisor.request_reindex()
    await supervisor.check()
    assert await number_of_shards(backends.elasticsearch, backends.alias) == 3
    await assert_in_sync(settings)
    assert await find_problem(backends) is None


@pytest.mark.parametrize("replicas", ["0", "2", "1-2", "0-all"])
async def test_replicas_are_set_without_rebuild(
    settings: Settings, backends: Backends, index: str, replicas: str
) -> None:
    names = [index, history_index(index)]
    await IndexSupervisor(settings.model_copy(update={"elasticsearch_replicas": replicas}), backends).check()
    for found in (await backends.elasticsearch.indices.get_settings(index=names)).body.values():
        set_to = found["settings"]["index"]
        assert set_to["auto_expand_replicas" if "-" in replicas else "number_of_replicas"] == replicas
    assert await in_use(backends) == index
    await IndexSupervisor(settings.model_copy(update={"elasticsearch_replicas": "0-1"}), backends).check()
