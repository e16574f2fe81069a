"""A process that serves different searches from Postgres for minutes, since Elasticsearch is absent, stays small."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import Country, Tag, TripType
from scripts import sample_data
from scripts.benchmark.load.workload import Ids, searches
from scripts.dev_stack.ports import free_port
from scripts.drill.load_generator import LoadClient, Outcome, Request, load_client
from tests.conftest import TODAY
from tests.support.api.serve_process import serve_process

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEPARTURES = 850
SEARCHES = 5000
VISITORS = 8
"""Searches at the same time: more than the fallback takes, so that some are rejected, but most are served."""
MAX_MEMORY = 150_000_000
SAMPLE_EVERY = 50
"""Searches of a visitor between two samples of the memory."""


@pytest.fixture
async def requests(settings: Settings, database: AsyncEngine) -> Iterator[Request]:
    """Searches on a catalogue that no index holds, no two alike."""
    await sample_data.seed(settings.database_url, DEPARTURES, today=TODAY)
    async with database.connect() as connection:
        countries, types, themes = [
            list(await connection.scalars(select(table.id))) for table in (Country, TripType, Tag)
        ]
    bodies = searches(Ids(countries, types, themes, TODAY.year), SEARCHES, seed=7)
    return iter([Request("search", "POST", "/api/v2/recommendations", body) for body in bodies])


async def visit(
    client: LoadClient, requests: Iterator[Request], process: psutil.Process
) -> tuple[list[Outcome], list[int]]:
    """Send one search after the other; return what came of them, and the process' resident memory meanwhile."""
    outcomes, memory = list[Outcome](), list[int]()
    for request in requests:
        outcomes.append(await client.send(request))
        if len(outcomes) % SAMPLE_EVERY == 0:
            memory.append(process.memory_info().rss)
    return outcomes, memory


async def test_memory_stays_small_while_elasticsearch_is_absent(
    settings: Settings, requests: Iterator[Request]
) -> None:
    absent = settings.model_copy(update={"elasticsearch_url": f"http://127.0.0.1:{free_port()}"})
    async with serve_process(absent) as api, load_client(api.url) as client:
        process = psutil.Process(api.process.pid)
        at_start = process.memory_info().rss
        visits = await asyncio.gather(*(visit(client, requests, process) for _ in range(VISITORS)))
    outcomes = [outcome for found, _ in visits for outcome in found]
    memory = [*itertools.chain.from_iterable(itertools.zip_longest(*(samples for _, samples in visits), fillvalue=0))]
    statuses = Counter(outcome.status for outcome in outcomes)
    log.info("%s; %.0f MB at the start, at most %.0f MB", dict(statuses), at_start / 1e6, max(memory) / 1e6)
    log.info("MB in turn: %s", [round(size / 1e6) for size in memory if size])
    assert statuses.keys() <= {200, 503}
    assert statuses[200] > SEARCHES / 2
    assert max(memory) < MAX_MEMORY
