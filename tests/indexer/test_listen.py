import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer import listen as module
from indexer.listen import listen
from schemas.settings import Settings
from schemas.tables import OUTBOX_CHANNEL
from tests.eventually import eventually
from tests.indexer.sync import execute
from tests.proxy import FaultProxy, Mode


class Ear:
    def __init__(self) -> None:
        self.heard = 0

    def wake(self) -> None:
        self.heard += 1


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ear]:
    """It has been told once: that it listens now."""
    ear = Ear()
    task = asyncio.create_task(listen(url, ear.wake))
    try:
        await eventually(lambda: ear.heard == 1)
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_that_the_server_ends_is_made_anew(settings: Settings, database: AsyncEngine) -> None:
    async with listening(settings.direct_url) as ear:
        await execute(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        await eventually(lambda: ear.heard == 2)
        await execute(database, f"NOTIFY {OUTBOX_CHANNEL}")
        await eventually(lambda: ear.heard == 3)


async def test_a_connection_that_went_dead_without_a_word_is_noticed(
    settings: Settings, database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_SECONDS", 0.1)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    async with FaultProxy(settings.direct_url) as proxy, listening(proxy.url) as ear:
        proxy.strand()
        await eventually(lambda: ear.heard == 2)
        await execute(database, f"NOTIFY {OUTBOX_CHANNEL}")
        await eventually(lambda: ear.heard == 3)


async def test_a_database_that_is_down_is_listened_to_when_it_comes_back(
    settings: Settings, database: AsyncEngine
) -> None:
    async with FaultProxy(settings.direct_url) as proxy, listening(proxy.url) as ear:
        await proxy.switch(Mode.CUT)
        await execute(database, f"NOTIFY {OUTBOX_CHANNEL}")
        await proxy.switch(Mode.PASS)
        await eventually(lambda: ear.heard == 2)
