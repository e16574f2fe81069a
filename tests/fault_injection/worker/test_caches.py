"""The API's caches follow Postgres within seconds, even while Elasticsearch is down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx2
import pytest

from core.configuration.settings import Settings
from schemas.index_document import DOCUMENT_VERSION
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import worker_task
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.sync import execute

COMPANIES = "/api/v2/companies"
CHANGE_COMPANY = "UPDATE companies SET name = :name WHERE id = :id"
OCCURRENCES = "/api/v2/occurrences"
CHANGE_DEPARTURE = "UPDATE trip_occurrences SET notes = :name WHERE id = :id"
SET_MAPPING_HASH = "UPDATE smarttrip.index_targets SET mapping_hash = :hash"


@asynccontextmanager
async def worker_and_api(sync: SyncFixture, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    unlimited = sync.settings.model_copy(update={"rate_limit_enabled": False})
    async with worker_task(settings), serving(unlimited) as api:
        await sync.wait_until_in_sync()
        yield api


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.STALL])
async def test_company_change_is_served_without_elasticsearch(sync: SyncFixture, mode: Mode) -> None:
    await assert_changes_are_served_during(mode, sync, COMPANIES, CHANGE_COMPANY, within=2.0)


async def test_departure_change_is_served_without_elasticsearch(sync: SyncFixture) -> None:
    await assert_changes_are_served_during(Mode.CUT, sync, OCCURRENCES, CHANGE_DEPARTURE, within=15.0)


async def test_company_change_is_served_without_writable_index(sync: SyncFixture) -> None:
    async with worker_and_api(sync, sync.settings) as api:
        # As a worker of another release finds the index before it has built its own.
        await execute(sync.workload.engine, SET_MAPPING_HASH, hash="another release")
        await assert_changes_are_served(api, sync, COMPANIES, CHANGE_COMPANY, within=2.0)
        await execute(sync.workload.engine, SET_MAPPING_HASH, hash=str(DOCUMENT_VERSION))
        await sync.wait_until_in_sync()


async def assert_changes_are_served_during(
    mode: Mode, sync: SyncFixture, path: str, change: str, *, within: float
) -> None:
    """Assert it while the worker already fails to write other changes to Elasticsearch."""
    async with worker_and_api(sync, sync.dependencies.settings) as api:
        await sync.dependencies["elasticsearch"].switch(mode)
        await execute(sync.workload.engine, "UPDATE trip_occurrences SET spots_left = 3")
        await assert_changes_are_served(api, sync, path, change, within=within)
        await sync.dependencies["elasticsearch"].switch(Mode.PASS)
        await sync.wait_until_in_sync()


async def assert_changes_are_served(
    api: httpx2.AsyncClient, sync: SyncFixture, path: str, change: str, *, within: float
) -> None:
    number = (await api.get(path)).json()["data"][0]["id"]
    for name in ("First", "Second"):
        await execute(sync.workload.engine, change, name=name, id=number)
        await eventually(partial(contains, api, path, name), within)


async def contains(api: httpx2.AsyncClient, path: str, name: str) -> bool:
    return name in (await api.get(path)).text
