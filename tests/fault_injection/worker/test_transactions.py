"""Transactions that commit late, and workers side by side."""

import pytest
from sqlalchemy import text

from indexer.rebuild.reindex import reindex
from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.worker_process import process, working
from tests.support.sync import ignore_progress, indexed

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own


async def test_what_a_long_transaction_changed_arrives_when_it_commits_at_last(scene: Scene) -> None:
    """Its outbox rows have lower ids than many that are long gone by then."""
    async with working(scene.settings), scene.platform.engine.connect() as slow:
        trip = await slow.scalar(text("SELECT max(id) FROM trip_occurrences"))
        await slow.execute(text("UPDATE trip_occurrences SET spots_left = 77 WHERE id = :trip"), {"trip": trip})
        for _ in range(20):
            await scene.platform.change()
        await scene.in_sync()
        await reindex(scene.settings, ignore_progress)
        assert (await indexed(scene.stores))[trip]["spots"] != 77
        await slow.commit()
        await scene.in_sync()
    assert (await indexed(scene.stores))[trip]["spots"] == 77


@pytest.mark.slow
async def test_three_workers_at_once_end_in_sync(scene: Scene) -> None:
    async with process(scene.settings), process(scene.settings), working(scene.settings):
        async with scene.platform.writing(rate=200), scene.platform.writing(rate=200):
            while scene.platform.written < 500:
                await scene.platform.change()
        await scene.in_sync()
