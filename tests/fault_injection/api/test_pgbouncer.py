"""API and worker behind a connection pooler that may run each transaction on another server connection."""

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy import make_url, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from indexer.errors import DirectUrlMismatchError
from indexer.index.direct_url import check_same_database
from schemas.tables import TripOccurrence
from scripts.drill.load_generator import Request, load_client, visitor
from tests.conftest import plain
from tests.fault_injection.api.conftest import SearchBodies
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.pgbouncer import BINARY, pgbouncer
from tests.support.processes import worker_process
from tests.support.sync import is_in_sync

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")

SERVER_CONNECTIONS = 3
FEW_CONNECTIONS = (
    ("default_pool_size = 20", f"default_pool_size = {SERVER_CONNECTIONS}"),
    ("reserve_pool_size = 5", "reserve_pool_size = 0"),
    # With so few, requests of a busy machine wait.
    ("query_wait_timeout = 4", "query_wait_timeout = 60"),
)
POSTGRES_ONLY = {"ANSWER_CACHE_SECONDS": "0", "ELASTICSEARCH_URL": "http://127.0.0.1:1"}
"""Variables under which every search runs in Postgres."""


@pytest.fixture(scope="module")
async def pooled(settings: Settings, sample_catalogue: AsyncEngine) -> AsyncIterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with pgbouncer(settings.database_url, Path(folder) / "pgbouncer", *FEW_CONNECTIONS) as pooler:
            yield settings.model_copy(update={"database_url": pooler.url})


def uncacheable_requests(bodies: SearchBodies) -> Iterator[Request]:
    for number, body in enumerate(itertools.cycle(bodies)):
        yield Request("search", "POST", "/api/v2/recommendations", body)
        yield Request("session", "POST", "/api/session/start", visitor())
        yield Request("templates", "GET", f"/api/v2/templates?limit=3&offset={number}&include_occurrences=true")
        yield Request("occurrences", "GET", f"/api/v2/occurrences?limit=3&offset={number}")


async def test_api_works_through_pgbouncer(pooled: Settings, search_bodies: SearchBodies) -> None:
    async with serve_process(pooled, port=None, **POSTGRES_ONLY) as serving, load_client(serving.url) as client:
        # Two searches run in Postgres at a time, others are refused: some were at twice the rate, beside other tests.
        outcomes = await client.run(uncacheable_requests(search_bodies), rate=10, seconds=8)
    assert [outcome for outcome in outcomes if not outcome.succeeded] == []
    assert await prepared_statements(pooled) == 0


async def test_database_is_recognized_through_pgbouncer(settings: Settings, pooled: Settings) -> None:
    await check_same_database(pooled.model_copy(update={"database_direct_url": settings.database_url}))
    other = make_url(settings.database_url).set(database="postgres").render_as_string(hide_password=False)
    with pytest.raises(DirectUrlMismatchError):
        await check_same_database(pooled.model_copy(update={"database_direct_url": other}))


async def prepared_statements(pooled: Settings) -> int:
    """Count prepared statements on all the pooler's server connections, each occupied by an open transaction."""
    engine = clients.postgres(pooled.database_url)
    async with AsyncExitStack() as stack:
        found = 0
        for _ in range(SERVER_CONNECTIONS):
            connection = await stack.enter_async_context(engine.begin())
            found += await connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    await engine.dispose()
    return found


async def test_worker_works_through_pgbouncer(
    pooled: Settings, settings: Settings, sample_catalogue: AsyncEngine, es: AsyncElasticsearch
) -> None:
    async with worker_process(pooled, DATABASE_DIRECT_URL=plain(settings.database_url)):
        async with sample_catalogue.begin() as connection:
            await connection.execute(update(TripOccurrence).values(spots_left=TripOccurrence.spots_left + 1))

        await eventually(lambda: is_in_sync(settings), within=30)
