"""A batch is suspended at each breakpoint while another batch processes a later change."""

from collections.abc import Sequence
from itertools import product

import pytest
from asyncpg import LockNotAvailableError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed.batch import process_batch
from indexer.rebuild.verify import verify
from tests.indexer.conftest import backends, index, no_index
from tests.stateful.breakpoints import BATCH_POINTS, install_breakpoints, run_until
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain

__all__ = ["backends", "index", "no_index"]

CHANGES = (
    "INSERT INTO trip_occurrences (id, trip_template_id, start_date, end_date, spots_left)"
    " VALUES (1, 1, DATE '2027-03-01', DATE '2027-03-11', 1) ON CONFLICT (id) DO UPDATE SET spots_left = 1",
    "UPDATE trip_occurrences SET spots_left = spots_left + 1",
    "DELETE FROM trip_occurrences",
    "TRUNCATE trip_occurrences CASCADE",
    "UPDATE companies SET name = name || '.'",
)
ROW_CHANGES = CHANGES[:3]


@pytest.fixture(autouse=True)
def breakpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    install_breakpoints(monkeypatch)


@pytest.fixture
async def template(index: str, catalogue: CatalogueFactory) -> None:
    await catalogue.template()


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize("changes", [ROW_CHANGES, pytest.param(CHANGES, marks=pytest.mark.slow)], ids=["row", "any"])
@pytest.mark.parametrize("point", BATCH_POINTS)
async def test_later_change_is_final(
    settings: Settings,
    backends: Backends,
    index: str,
    point: str,
    changes: Sequence[str],
) -> None:
    for first, second in product(changes, changes):
        await write(backends.postgres, first)
        suspended = await run_until(point, process_batch(backends, retry=True))
        await write(backends.postgres, second)
        for _ in range(2):
            await process_batch(backends, retry=True)
        await suspended.end(killed=False)
        await backends.elasticsearch.indices.refresh(index=index)
        assert not (await verify(settings, repair=False)).differences, (first, second)
        await drain(backends)
        await assert_in_sync(settings)


async def write(engine: AsyncEngine, statement: str) -> None:
    """Run the statement unless it has to wait: a TRUNCATE waits for a batch that has read the table."""
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await connection.execute(text(statement))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LockNotAvailableError.sqlstate:
            raise
