import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.rebuild.loader import BulkLoader
from indexer.rebuild.reindex import reindex
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import assert_in_sync, ignore_progress


async def test_load_goes_on_after_connections_to_postgres_broke(
    settings: Settings, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = BulkLoader._load_chunk, list[Sequence[int]]()
    async with FaultProxy(settings.database_url) as proxy:
        # The connection that holds the lock is not broken: only a pooler was restarted, or the machine is busy.
        own = settings.model_copy(update={"database_url": proxy.url, "database_direct_url": settings.database_url})

        async def load_after_a_break(loader: BulkLoader, ids: Sequence[int]) -> None:
            calls.append(ids)
            await proxy.switch(Mode.CUT if len(calls) == 1 else Mode.PASS)
            await real(loader, ids)

        monkeypatch.setattr(BulkLoader, "_load_chunk", load_after_a_break)
        report = await reindex(own, ignore_progress)
    assert report.documents == len(trips)
    assert calls == [calls[0]] * 2
    await assert_in_sync(settings)


async def test_stall_is_not_made_up_for_at_full_speed(
    backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = BulkLoader(backends, "any", ignore_progress, rate=1.0, chunk_size=3)
    first = await loader._next_ids()
    resumed = time.monotonic() + 3600
    with monkeypatch.context() as patch:
        patch.setattr("indexer.rebuild.loader.time", SimpleNamespace(monotonic=lambda: resumed))
        assert await loader._next_ids() == trips[len(first) : 2 * len(first)]
    assert loader._next_chunk_at == resumed + len(first)
