"""Which rows of a long queue a batch takes, and maintenance of the table beside it."""

import asyncio

import pytest
from sqlalchemy import text

from indexer.backends import Backends
from indexer.feed.batch import process_batch
from indexer.index import outbox
from indexer.index.outbox import DIRECT, LANES
from tests.support.sync import execute

SINGLE = 999_999_999
ADD = "INSERT INTO smarttrip.outbox (kind, row_id) SELECT 'occurrence', n FROM generate_series(1, :count) AS n"
SEQUENTIAL_SCANS = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'smarttrip.outbox'::regclass")
"""Of this transaction."""


async def enqueue(backends: Backends, *sizes: int) -> None:
    for size in sizes:
        await execute(backends.postgres, ADD, count=size)


@pytest.mark.parametrize(
    "sizes_after",
    [[], [1500], [15_000], [100_000], [150] * 40, [1] * 40, [1500, 1, 5, 700]],
    ids=["none", "burst", "large burst", "catalogue", "40 batches", "40 changes", "mixed"],
)
async def test_single_change_is_claimed_at_once(backends: Backends, sizes_after: list[int]) -> None:
    await enqueue(backends, 5000)
    await execute(
        backends.postgres, "INSERT INTO smarttrip.outbox (kind, row_id) VALUES ('occurrence', :id)", id=SINGLE
    )
    await enqueue(backends, *sizes_after)
    async with backends.postgres.begin() as connection:
        claimed = await outbox.claim(connection, [DIRECT], retry=False)
    assert SINGLE in {row.row_id for row in claimed}


async def test_queue_that_grew_is_read_by_its_index(backends: Backends) -> None:
    """Statistics say that it is short, as until the next automatic ANALYZE; all of it would be read and sorted."""
    await execute(backends.postgres, "ANALYZE smarttrip.outbox")
    await enqueue(backends, 20_000)
    async with backends.postgres.begin() as connection:
        assert await outbox.claim(connection, [DIRECT], retry=False)
        scanned = await connection.scalar(SEQUENTIAL_SCANS)
        assert await connection.scalar(text("SHOW enable_seqscan")) == "on"
    assert scanned == 0


@pytest.mark.parametrize("table", ["outbox", "outbox_copies", "outbox_dead", "index_targets"])
async def test_tables_can_be_reindexed_beside_batches(backends: Backends, index: str, table: str) -> None:
    """Neither a batch nor the REINDEX fails, as in a deadlock."""
    done = asyncio.Event()

    async def rebuild() -> None:
        while not done.is_set():
            async with backends.postgres.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(text(f"REINDEX TABLE smarttrip.{table}"))

    rebuilding = asyncio.create_task(rebuild())
    for _ in range(8):
        await execute(backends.postgres, ADD, count=20)
        await asyncio.gather(*(process_batch(backends, [lane], retry=True) for lane in LANES))
    done.set()
    await rebuilding
