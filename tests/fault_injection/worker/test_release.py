"""A release, rolled forward and back with real processes under searches and writers.

The other release is a patched copy of this tree.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from indexer.index.admin import indices_of, live_index
from schemas.index_document import DOCUMENT_VERSION
from tests.fault_injection.worker.conftest import SyncFixture
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import RunningProcess
from tests.support.recipes import ROOT, TreeCopy
from tests.support.release import START, Release, raise_document_version

log = logging.getLogger(__name__)

FRESHNESS = 2.0
"""Seconds within which 99 of 100 changes are visible to searches."""
REINDEX_RATE = 2
"""Departures a second: a new index takes longer than a worker may be without progress and still be ready."""
RECOMMENDATIONS = "/api/v2/recommendations"
RENAMED = {
    "schemas/index_document.py": (("    spots: int\n", "    seats: int\n"),),
    "schemas/document_fields.py": (('    "spots": DocumentField(', '    "seats": DocumentField('),),
}
"""Edits that rename a field of the document."""


@dataclass
class Traffic:
    """Searches through all API processes that are in the load balancer, and a writer whose changes they must show."""

    sync: SyncFixture
    template: int
    apis: dict[str, httpx2.AsyncClient] = field(default_factory=dict)
    in_flight: Counter[str] = field(default_factory=Counter)
    """Searches that were sent, by process."""
    outcomes: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    """Why searches were degraded."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the commit of a change until all processes show it."""

    @asynccontextmanager
    async def balanced(self, api: RunningProcess) -> AsyncIterator[None]:
        """Send searches to the process, too, during the block."""
        async with http_client(api.url, timeout=START) as client:
            self.apis[api.url] = client
            yield
            del self.apis[api.url]
            await eventually(lambda: self.in_flight[api.url] == 0, START)

    async def change(self) -> None:
        """Insert a departure, or delete it, and wait until each process shows that."""
        trip_id = 900_001
        for statement, expected in ((INSERT, True), (DELETE, False)):
            async with self.sync.workload.engine.begin() as connection:
                await connection.execute(text(statement), {"id": trip_id, "template": self.template})
            committed = time.monotonic()
            while not await self._all_show(trip_id, expected):
                assert time.monotonic() < committed + 30, f"{trip_id} is not as expected: {expected}"
                await asyncio.sleep(0.05)
            self.delays.append(time.monotonic() - committed)

    async def _all_show(self, trip_id: int, expected: bool) -> bool:
        shown = [await self._shows(url, trip_id) for url in list(self.apis)]
        return all(found == expected for found in shown if found is not None)

    async def _shows(self, url: str, trip_id: int) -> bool | None:
        """Search; return whether the departure was found, or None if the search failed or the process has left."""
        client = self.apis.get(url)
        if client is None:
            return None
        self.in_flight[url] += 1
        try:
            response = await client.post(RECOMMENDATIONS, json={"selected_countries": [COUNTRY]})
        finally:
            self.in_flight[url] -= 1
        if response.status_code != 200:
            self.outcomes["failed"] += 1
            return None
        body: Mapping[str, Any] = response.json()
        self.outcomes["answered"] += 1
        self.warnings += response.headers.get_list("warning")
        found = [trip["id"] for trip in body["data"]]
        if STEADY not in found:
            self.outcomes["wrong"] += 1
        return trip_id in found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stopped = asyncio.Event()

        async def change_until_stopped() -> None:
            while not stopped.is_set():
                await self.change()

        task = asyncio.create_task(change_until_stopped())
        try:
            yield
        finally:
            stopped.set()
            await task


COUNTRY, STEADY = 9_001, 900_000
"""A country of its own, and a departure in it that each search must find."""
INSERT = (
    "INSERT INTO trip_occurrences (id, trip_template_id, start_date, end_date, spots_left)"
    " VALUES (:id, :template, DATE '2027-03-01', DATE '2027-03-11', 7)"
)
DELETE = "DELETE FROM trip_occurrences WHERE id = :id AND trip_template_id = :template"
SETUP: Sequence[str] = (
    f"INSERT INTO countries (id, name, name_he, continent, created_at, updated_at)"
    f" VALUES ({COUNTRY}, 'Testland', 'T', 'ASIA', now(), now())",
    f"UPDATE trip_templates SET primary_country_id = {COUNTRY}, is_active = true"
    " WHERE id = (SELECT max(id) FROM trip_templates)",
    "DELETE FROM trip_occurrences WHERE trip_template_id = (SELECT max(id) FROM trip_templates)",
)


@pytest.fixture
async def traffic(sync: SyncFixture) -> Traffic:
    async with sync.workload.engine.begin() as connection:
        for statement in SETUP:
            await connection.execute(text(statement))
        template = await connection.scalar(text("SELECT max(id) FROM trip_templates"))
        await connection.execute(text(INSERT), {"id": STEADY, "template": template})
    return Traffic(sync, int(template or 0))


@pytest.fixture
def other_tree(tmp_path: Path, changes_document: bool) -> Path:
    tree = TreeCopy.create(tmp_path / "next")
    if changes_document:
        raise_document_version(tree)
        for name, edits in RENAMED.items():
            for old, new in edits:
                tree.replace(name, old, new)
        for path in [*(tree.path / "scoring").glob("*.py"), *(tree.path / "app" / "repositories").glob("*.py")]:
            path.write_text(path.read_text(encoding="utf-8").replace('"spots"', '"seats"'), encoding="utf-8")
    return tree.path


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("changes_document", [True, False], ids=["new-document", "same-document"])
async def test_release_and_rollback_interrupt_nothing(
    sync: SyncFixture, traffic: Traffic, other_tree: Path, changes_document: bool
) -> None:
    old, new = Release(sync.settings, ROOT), Release(sync.settings, other_tree)
    version = DOCUMENT_VERSION + changes_document
    async with AsyncExitStack() as old_workers, AsyncExitStack() as old_apis, AsyncExitStack() as running:
        old_worker = await old_workers.enter_async_context(old.worker())
        await eventually(lambda: is_built(sync, DOCUMENT_VERSION), START)
        await sync.wait_until_in_sync()
        old_api = await old_apis.enter_async_context(old.api())
        await old_apis.enter_async_context(traffic.balanced(old_api))
        await running.enter_async_context(traffic.running())
        await running.enter_async_context(sync.workload.running(rate=5))
        await changes(traffic, 3)
        await new.run("migrate")
        async with AsyncExitStack() as new_processes:
            new_worker = await new_processes.enter_async_context(new.worker(REINDEX_RATE=str(REINDEX_RATE)))
            building_since = len(traffic.delays)
            new_api = await new_processes.enter_async_context(new.starting_api())
            if changes_document:
                await wait_until_built(sync, version, (old_worker, old_api, new_worker), new_api)
                assert len(traffic.delays) >= building_since + 3
            await new_api.wait_until_responding("/readyz")
            await new_processes.enter_async_context(traffic.balanced(new_api))
            await old_apis.aclose()
            await old_workers.aclose()
            await changes(traffic, 3)
            # Back again, in the same order.
            await old_workers.enter_async_context(old.worker())
            await old_apis.enter_async_context(traffic.balanced(await old_apis.enter_async_context(old.api())))
        await changes(traffic, 3)
        if changes_document:
            assert "is in use again" in await old.run("rollback")
        await changes(traffic, 2)
    log.warning("searches: %s, changes visible after %s s", dict(traffic.outcomes), traffic.delays)
    assert traffic.outcomes["failed"] == traffic.outcomes["wrong"] == 0
    assert not traffic.warnings
    assert quantile(traffic.delays, 0.99) < FRESHNESS
    plain = sync.settings.elasticsearch_alias
    assert await indices_of(sync.backends.elasticsearch, plain) == [
        await live_index(sync.backends.elasticsearch, sync.backends.alias)
    ]


async def wait_until_built(
    sync: SyncFixture, version: int, running: Sequence[RunningProcess], new_api: RunningProcess
) -> None:
    """Wait until the index of the version is built.

    Assert that the processes that run stay ready, and that the API process that needs the index is not ready before.
    """
    unready = Counter[str]()
    while not await is_built(sync, version):
        unready.update([each.url for each in running if await is_unready(each)])
        assert await is_unready(new_api) or await is_built(sync, version)
        await asyncio.sleep(0.1)
    assert not unready


async def is_unready(running: RunningProcess) -> bool:
    """Return whether the process says so, however long that takes it."""
    async with http_client(running.url, timeout=START) as client:
        return (await client.get("/readyz")).status_code == 503


async def is_built(sync: SyncFixture, version: int) -> bool:
    alias = f"{sync.settings.elasticsearch_alias}-v{version}"
    return await live_index(sync.backends.elasticsearch, alias) is not None


async def changes(traffic: Traffic, number: int) -> None:
    """Wait for this many changes to become visible."""
    before = len(traffic.delays)
    await eventually(lambda: len(traffic.delays) >= before + number, START)


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
