"""Process the outbox without a worker, and inspect the index."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed.batch import BatchResult, process_batch
from indexer.rebuild.progress import Progress
from indexer.rebuild.verify import verify
from schemas.tables import OutboxRow


def ignore_progress(progress: Progress) -> None:
    pass


async def execute(engine: AsyncEngine, statement: str, **values: Any) -> None:
    """Execute plain SQL in a transaction of its own, as the platform's writers do."""
    async with engine.begin() as connection:
        await connection.execute(text(statement), values)


async def waiting(engine: AsyncEngine) -> int:
    """Return the number of rows in the outbox."""
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(OutboxRow)) or 0


async def drain(backends: Backends, publisher: UUID | None = None, since: int = 0) -> list[BatchResult]:
    """Process batches until no row can be claimed; the publisher, if any, has to publish what they write."""
    batches = []
    while (batch := await process_batch(backends, retry=True, publisher=publisher, since=since)).claimed:
        batches.append(batch)
        assert not batch.failed_entirely, batch.written
    return batches


async def indexed(backends: Backends, name: str | None = None) -> dict[int, dict[str, Any]]:
    """Return all documents that searches find, by departure id."""
    es = backends.elasticsearch
    await es.indices.refresh(index=name or backends.alias)
    response = await es.search(index=name or backends.alias, size=10_000, sort=[{"id": "asc"}])
    return {int(hit["_id"]): hit["_source"] for hit in response["hits"]["hits"]}


async def trip(backends: Backends, trip_id: int) -> Any:
    """Return the trip as responses contain it."""
    return (await indexed(backends))[trip_id]["trip"]


async def assert_in_sync(settings: Settings) -> None:
    """Assert that each field of each departure is as in Postgres, and that no change is in the outbox."""
    report = await verify(settings, repair=False)
    assert not report.differences
    assert not report.lagging


async def is_in_sync(settings: Settings) -> bool:
    try:
        await assert_in_sync(settings)
    except AssertionError:
        return False
    return True
