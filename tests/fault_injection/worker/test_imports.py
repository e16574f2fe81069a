"""A single change beside a large import is searchable within two seconds."""

import logging
import time

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from tests.conftest import TODAY
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
CHANGE = "UPDATE trip_occurrences SET spots_left = 77 WHERE id = (SELECT max(id) FROM trip_occurrences)"
SEARCHABLE_SECONDS = 2.0


async def is_searchable(backends: Backends) -> bool:
    found = await backends.elasticsearch.count(index=backends.alias, query={"term": {"spots": 77}})
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
        await single.execute(text(CHANGE))
        await importing.execute(text(IMPORT), {"times": after * ROWS // DEPARTURES, "departures": DEPARTURES - 1})
        await single.commit()
        await importing.commit()
        changed = time.monotonic()
        await eventually(lambda: is_searchable(backends), within=120)
        seconds = time.monotonic() - changed
        assert await waiting(database) > ROWS // 2
    log.info("searchable after %.2f s", seconds)
    assert seconds < SEARCHABLE_SECONDS
