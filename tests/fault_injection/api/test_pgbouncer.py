"""Behind a pooler that gives each transaction another server connection."""

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.settings import Settings
from schemas.tables import TripOccurrence
from tests.conftest import plain
from tests.fault_injection.api.constant_rate_client import Call, visit, visitors
from tests.fault_injection.api.pgbouncer import BINARY, SERVER_CONNECTIONS, pgbouncer
from tests.fault_injection.api.serving_process import worker_process
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.sync import is_in_sync

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")

ANEW = {"ANSWER_CACHE_SECONDS": "0", "ELASTICSEARCH_URL": "http://127.0.0.1:1"}
"""Every search is answered from Postgres."""


@pytest.fixture(scope="module")
async def pooled(settings: Settings, filled: AsyncEngine) -> AsyncIterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with pgbouncer(settings.database_url, Path(folder) / "pgbouncer") as url:
            yield settings.model_copy(update={"database_url": url})


def calls(wishes: Sequence[dict[str, Any]]) -> Iterator[Call]:
    """Which the cache can answer none of."""
    for number, wish in enumerate(itertools.cycle(wishes)):
        yield Call("search", "POST", "/api/v2/recommendations", wish)
        yield Call("session", "POST", "/api/session/start", visit())
        yield Call("templates", "GET", f"/api/v2/templates?limit=3&offset={number}&include_occurrences=true")
        yield Call("occurrences", "GET", f"/api/v2/occurrences?limit=3&offset={number}")


async def test_the_api_works_under_load(pooled: Settings, wishes: Sequence[dict[str, Any]]) -> None:
    async with serve_process(pooled, port=None, **ANEW) as serving, visitors(serving.url) as crowd:
        outcomes = await crowd.come(calls(wishes), rate=20, seconds=4)
    assert [outcome for outcome in outcomes if not outcome.answered] == []
    assert await prepared_statements(pooled) == 0


async def prepared_statements(pooled: Settings) -> int:
    """Left on the pooler's connections to the server, each held by a transaction so that all are looked at."""
    engine = clients.postgres(pooled.database_url)
    async with AsyncExitStack() as stack:
        found = 0
        for _ in range(SERVER_CONNECTIONS):
            connection = await stack.enter_async_context(engine.begin())
            found += await connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    await engine.dispose()
    return found


async def test_the_worker_follows_changes(
    pooled: Settings, settings: Settings, filled: AsyncEngine, es: AsyncElasticsearch
) -> None:
    async with worker_process(pooled, DATABASE_DIRECT_URL=plain(settings.database_url)):
        async with filled.begin() as connection:
            await connection.execute(update(TripOccurrence).values(spots_left=TripOccurrence.spots_left + 1))

        await eventually(lambda: is_in_sync(settings), within=30)
