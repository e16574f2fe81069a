"""A connection that breaks after the load costs a step of a reindex, not all that has been loaded."""

from typing import Any

import pytest
from elastic_transport import AsyncTransport
from elastic_transport import ConnectionError as BrokenConnectionError
from sqlalchemy.exc import DBAPIError

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index import admin
from indexer.rebuild import checksums, loader
from indexer.rebuild import reindex as module
from tests.indexer.rebuild.test_reindex import assert_no_leftovers, reindex
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import assert_in_sync, ignore_progress


class LostResponses:
    """Loses the response to each kind of request once."""

    def __init__(self) -> None:
        self.begun = False
        self.lost: list[str] = []

    def loses(self, method: str, target: str) -> bool:
        """Return whether the response to this request is lost."""
        path = target.partition("?")[0]
        kind = f"{method} /{'/'.join(part for part in path.split('/') if part.startswith('_'))}"
        if not self.begun or kind in self.lost:
            return False
        self.lost.append(kind)
        return True


@pytest.fixture
def lost_responses(monkeypatch: pytest.MonkeyPatch) -> LostResponses:
    """Lose responses once a load has ended."""
    lost = LostResponses()
    perform, finish = AsyncTransport.perform_request, admin.finish_loading

    async def perform_and_lose(self: AsyncTransport, method: str, target: str, **named: Any) -> Any:
        response = await perform(self, method, target, **named)
        if lost.loses(method, target):
            raise BrokenConnectionError("the connection broke")
        return response

    async def begin_and_finish(*arguments: Any) -> None:
        lost.begun = True
        await finish(*arguments)

    monkeypatch.setattr(AsyncTransport, "perform_request", perform_and_lose)
    monkeypatch.setattr(admin, "finish_loading", begin_and_finish)
    monkeypatch.setattr(loader, "FIRST_RETRY_SECONDS", 0.0)
    return lost


async def break_connections(proxy: FaultProxy) -> None:
    await proxy.switch(Mode.CUT)
    await proxy.switch(Mode.PASS)


async def test_reindex_goes_on_after_any_response_of_elasticsearch_was_lost(
    settings: Settings,
    backends: Backends,
    trips: list[int],
    lost_responses: LostResponses,
) -> None:
    report = await reindex(settings, ignore_progress)
    assert {"POST /_aliases", "POST /_search", "POST /_refresh", "POST /_flush"} <= {*lost_responses.lost}
    assert await admin.live_index(backends.elasticsearch, backends.alias) == report.name
    await assert_no_leftovers(backends)
    await assert_in_sync(settings)


@pytest.mark.parametrize("step", ["pending_departures", "database_checksums"])
async def test_reindex_goes_on_after_its_reader_was_lost(
    settings: Settings, trips: list[int], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real, calls = getattr(checksums, step), 0
    async with FaultProxy(settings.database_url) as proxy:
        own = settings.model_copy(update={"database_url": proxy.url, "database_direct_url": settings.database_url})

        async def read_after_a_break(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                await break_connections(proxy)
            return await real(*arguments)

        monkeypatch.setattr(checksums, step, read_after_a_break)
        assert (await reindex(own, ignore_progress)).documents == len(trips)
    assert calls == 2
    await assert_in_sync(settings)


async def test_reindex_ends_when_its_lock_is_lost(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may be rebuilding by then."""
    before = (await reindex(settings, ignore_progress)).name
    real = module._swap
    async with FaultProxy(settings.direct_url) as proxy:
        own = settings.model_copy(update={"database_direct_url": proxy.url})

        async def swap_after_a_break(*arguments: Any) -> None:
            await break_connections(proxy)
            await real(*arguments)

        monkeypatch.setattr(module, "_swap", swap_after_a_break)
        with pytest.raises(DBAPIError):
            await reindex(own, ignore_progress)
    assert await admin.live_index(backends.elasticsearch, backends.alias) == before
