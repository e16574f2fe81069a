"""Documents have the values of the platform's columns once these are as they were, whatever happened meanwhile.

Ranges over every column that documents may do without.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.concurrency.tasks import background_task
from core.configuration.settings import Settings
from core.postgres.platform_columns import Differences, is_optional, readable_types
from indexer import schema_drift
from indexer.backends import Backends, open_backends
from indexer.index import outbox
from indexer.schema_drift import watch_columns
from migrations.versions.r2_sync import WATCHED
from schemas.tables import Base, TripOccurrence
from tests.support.changed_columns import renamed, stood_aside
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, indexed, waiting

OPTIONAL = [
    column
    for watched in WATCHED
    for column in Base.metadata.tables[watched.table].columns
    if column.name in watched.columns.split() and is_optional(column)
]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_drift, "CHECK_SECONDS", 0.05)


@asynccontextmanager
async def watching(settings: Settings, redis: Redis) -> AsyncIterator[Backends]:
    """Run what a worker runs, batches apart."""
    async with open_backends(settings) as backends, background_task(watch_columns(backends, redis)):
        yield backends


@asynccontextmanager
async def of_another_type(engine: AsyncEngine) -> AsyncIterator[None]:
    """Let columns of text, without values, stand for all that are none."""
    async with AsyncExitStack() as stack:
        for column in OPTIONAL:
            if "text" not in readable_types(column.type):
                await stack.enter_async_context(stood_aside(engine, column))
        yield


CHANGES: dict[str, Callable[[AsyncEngine], AbstractAsyncContextManager[None]]] = {
    "missing": lambda engine: renamed(engine, *OPTIONAL),
    "another type": of_another_type,
}


@pytest.fixture
async def before(catalogue: CatalogueFactory, backends: Backends, index: str) -> Any:
    """Documents of departures that have values in all columns."""
    template = await catalogue.template(
        image_url="https://example.com/a.jpg", primary_country_id=await catalogue.country()
    )
    guide = await catalogue.guide(age=40, image_url="https://example.com/b.jpg")
    for _ in range(3):
        await catalogue.occurrence(trip_template_id=template, guide_id=guide)
    await drain(backends)
    return await indexed(backends)


async def write_again(backends: Backends) -> None:
    """Write every document, as a change of each departure does."""
    async with backends.postgres.begin() as connection:
        ids = list(await connection.scalars(select(TripOccurrence.id)))
        await outbox.enqueue(connection, ids, lane=outbox.DIRECT)
    await drain(backends)


def without_versions(documents: dict[int, Any]) -> dict[int, Any]:
    return {number: {**document, "version": None} for number, document in documents.items()}


async def write_documents_with_gaps(worker: Backends, before: Any) -> None:
    """Write documents with the columns as they are now, once the worker has seen that they differ."""
    await eventually(lambda: worker.columns.differences != Differences())
    await write_again(worker)
    assert without_versions(await indexed(worker)) != without_versions(before)


async def assert_complete(settings: Settings, worker: Backends, before: Any) -> None:
    async def is_complete() -> bool:
        await drain(worker)
        return without_versions(await indexed(worker)) == without_versions(before)

    await eventually(is_complete)
    await assert_in_sync(settings)


@pytest.mark.parametrize("change", CHANGES)
async def test_columns_that_are_back_are_written_again(
    settings: Settings, redis: Redis, engine: AsyncEngine, before: Any, change: str
) -> None:
    async with watching(settings, redis) as worker:
        async with CHANGES[change](engine):
            await write_documents_with_gaps(worker, before)
        await assert_complete(settings, worker, before)


@pytest.mark.parametrize("change", CHANGES)
async def test_columns_that_came_back_while_no_worker_ran_are_written_again(
    settings: Settings, redis: Redis, engine: AsyncEngine, before: Any, change: str
) -> None:
    async with CHANGES[change](engine), watching(settings, redis) as worker:
        await write_documents_with_gaps(worker, before)
    async with watching(settings, redis) as worker:
        await assert_complete(settings, worker, before)


async def test_columns_as_they_were_cost_nothing(settings: Settings, redis: Redis, before: Any) -> None:
    async with watching(settings, redis) as worker:
        checks = []
        check = worker.columns.check

        async def check_and_count() -> bool:
            checks.append(await check())
            return checks[-1]

        worker.columns.check = check_and_count  # type: ignore[method-assign]
        await eventually(lambda: len(checks) > 2)
        assert await waiting(worker.postgres) == 0
