"""A single change beside a large import, or beside bursts, is searchable within two seconds."""

import itertools
import logging
import sys
import time
from functools import partial

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.concurrency.tasks import background_task
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.benchmark.load.open_loop import due_times
from scripts.drill.load_generator import LoadClient, Request, load_client
from tests.conftest import TODAY
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.processes import worker_process
from tests.support.sync import execute, ignore_progress, waiting

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEPARTURES = 5000
ROWS = 100_000
IMPORT = (
    "INSERT INTO smarttrip.outbox (kind, row_id) SELECT 'occurrence', id"
    " FROM generate_series(1, :times),"
    " LATERAL (SELECT id FROM trip_occurrences ORDER BY id LIMIT :departures) AS departures"
)
"""Changes of all departures but one, as an import makes them."""
CHANGE = "UPDATE trip_occurrences SET spots_left = :spots WHERE id = (SELECT max(id) FROM trip_occurrences)"
SPOTS = 1000
"""More than any departure of the catalogue has."""
SEARCHABLE_SECONDS = 2.0

BURST = (
    "UPDATE trip_occurrences SET spots_left = 1 - spots_left % 2"
    " WHERE id IN (SELECT id FROM trip_occurrences ORDER BY id LIMIT 1500)"
)
BURSTS_PER_SECOND = 1
SEARCHES_PER_SECOND = 20
CHANGES = 100


async def is_searchable(backends: Backends, spots: int) -> bool:
    found = await backends.elasticsearch.count(index=backends.alias, query={"term": {"spots": spots}})
    return bool(found["count"])


@pytest.fixture
async def catalogue(settings: Settings, database: AsyncEngine, no_index: None, redis: Redis) -> Settings:
    """Settings of a catalogue that is indexed."""
    await sample_data.seed(settings.database_url, DEPARTURES, today=TODAY)
    await execute(database, "UPDATE trip_occurrences SET spots_left = 7")
    await execute(database, "DELETE FROM smarttrip.outbox")
    await reindex(settings, ignore_progress)
    return settings


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0), (1, 1)], ids=["before", "after", "between two"])
async def test_single_change_beside_an_import_is_searchable_soon(
    catalogue: Settings, backends: Backends, before: int, after: int
) -> None:
    settings, database = catalogue, backends.postgres
    async with (
        worker_process(settings) as worker,
        database.connect() as single,
        database.connect() as importing,
    ):
        await worker.wait_until_responding()
        await execute(database, IMPORT, times=before * ROWS // DEPARTURES, departures=DEPARTURES - 1)
        # Rows of the later import have higher ids, and all is committed at the same moment.
        await single.execute(text(CHANGE), {"spots": SPOTS})
        await importing.execute(text(IMPORT), {"times": after * ROWS // DEPARTURES, "departures": DEPARTURES - 1})
        await single.commit()
        await importing.commit()
        changed = time.monotonic()
        await eventually(lambda: is_searchable(backends, SPOTS), within=120)
        seconds = time.monotonic() - changed
        assert await waiting(database) > ROWS // 2
    log.info("searchable after %.2f s", seconds)
    assert seconds < SEARCHABLE_SECONDS


async def commit_bursts(database: AsyncEngine) -> None:
    """Change 1,500 departures in a transaction, again and again, until cancelled."""
    async for _ in due_times(BURSTS_PER_SECOND, sys.maxsize, time.monotonic):
        await execute(database, BURST)


async def search(client: LoadClient, failed: list[str]) -> None:
    """Send searches that no cache can answer, until cancelled."""
    requests = (Request("search", "POST", "/api/v2/recommendations", {"budget": n}) for n in itertools.count(1000))
    async for _ in due_times(SEARCHES_PER_SECOND, sys.maxsize, time.monotonic):
        outcome = await client.send(next(requests))
        failed += [] if outcome.succeeded else [outcome.summary]


async def test_single_changes_beside_bursts_and_searches_are_searchable_soon(
    catalogue: Settings, backends: Backends
) -> None:
    settings, database = catalogue, backends.postgres
    delays, failed = list[float](), list[str]()
    async with worker_process(settings) as worker, serve_process(settings) as api, load_client(api.url) as client:
        await worker.wait_until_responding("/readyz")
        await api.wait_until_responding("/readyz")
        async with background_task(commit_bursts(database)), background_task(search(client, failed)):
            for spots in range(SPOTS, SPOTS + CHANGES):
                await execute(database, CHANGE, spots=spots)
                changed = time.monotonic()
                await eventually(partial(is_searchable, backends, spots), within=120)
                delays.append(time.monotonic() - changed)
            left = await waiting(database)
    delays.sort()
    p99 = delays[int(0.99 * CHANGES)]
    log.info("p50 %.2f s, p99 %.2f s, %d changes left", delays[CHANGES // 2], p99, left)
    assert not failed
    assert p99 < SEARCHABLE_SECONDS
