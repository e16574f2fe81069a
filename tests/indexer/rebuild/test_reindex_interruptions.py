"""A reindex that is killed or cancelled after any of its steps can be repeated, and leaves nothing behind."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index import admin, targets
from indexer.index.admin import all_names, live_index
from indexer.index.targets import TargetState
from indexer.rebuild import loader
from indexer.rebuild import reindex as module
from indexer.supervisor import IndexSupervisor
from tests.indexer.rebuild.test_reindex import assert_no_leftovers, known, reindex
from tests.support.eventually import eventually
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress


class Killed(BaseException):
    """A BaseException, which nothing catches, as nothing catches SIGKILL."""


async def die(*arguments: Any) -> None:
    raise Killed


QUICK = {"in a chunk", "swapping", "activating"}
"""Steps whose interruption the quick suite tries."""


def interrupted_at(steps: Mapping[str, tuple[Any, str]]) -> pytest.MarkDecorator:
    """Range over steps: the object that has the function, and its name."""
    marks = {name: () if name in QUICK else pytest.mark.slow for name in steps}
    parameters = [pytest.param(*step, id=name, marks=marks[name]) for name, step in steps.items()]
    return pytest.mark.parametrize(("owner", "step"), parameters)


STEPS = {
    "registering": (targets, "register"),
    "loading": (loader.BulkLoader, "run"),
    "in a chunk": (loader.BulkLoader, "_load_chunk"),
    "serving": (admin, "finish_loading"),
    "comparing": (module, "_compare"),
    "swapping": (admin, "swap_alias"),
}


@interrupted_at(STEPS)
@pytest.mark.usefixtures("trips")
async def test_killed_reindex_can_be_repeated(
    settings: Settings, backends: Backends, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str
) -> None:
    before = (await reindex(settings, ignore_progress)).name
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        patch.setattr(module, "_discard", die)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await reindex(settings, ignore_progress)
    assert await live_index(backends.elasticsearch, backends.alias) == before
    await drain(backends)
    await assert_in_sync(settings)
    await reindex(settings, ignore_progress)
    await drain(backends)
    await assert_in_sync(settings)
    await assert_no_leftovers(backends)


async def test_reindex_killed_after_swap_is_repaired_by_next(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await reindex(settings, ignore_progress)
    real = admin.swap_alias

    async def swap_and_die(*arguments: Any) -> None:
        await real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(admin, "swap_alias", swap_and_die)
        with pytest.raises(Killed):
            await reindex(settings, ignore_progress)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await drain(backends)
    await assert_in_sync(settings)
    await reindex(settings, ignore_progress)
    await assert_no_leftovers(backends)
    await assert_in_sync(settings)


LAST_STEPS = {
    "creating": (admin, "create"),
    "registering": (targets, "register"),
    "comparing": (module, "_compare"),
    "swapping": (admin, "swap_alias"),
    "activating": (module._Rebuild, "_activate"),
    "forgetting": (targets, "remove_others"),
}


@interrupted_at(LAST_STEPS)
@pytest.mark.usefixtures("trips")
async def test_reindex_killed_after_any_step_is_cleaned_up(
    settings: Settings, backends: Backends, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str
) -> None:
    for _ in range(2):
        await reindex(settings, ignore_progress)
    real = getattr(owner, step)

    async def finish_and_die(*arguments: Any, **named: Any) -> None:
        await real(*arguments, **named)
        if len(await all_names(backends.elasticsearch, backends.alias)) > 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, finish_and_die)
        patch.setattr(module, "_discard", die)
        with pytest.raises(Killed):
            await reindex(settings, ignore_progress)
    await IndexSupervisor(settings, backends).check()
    await assert_no_leftovers(backends)
    assert len(await known(backends)) == 2
    await drain(backends)
    await assert_in_sync(settings)


async def test_cancelled_reindex_cleans_up(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await reindex(settings, ignore_progress)).name
    slow = settings.model_copy(update={"reindex_rate": 2.0})
    running = asyncio.create_task(reindex(slow, ignore_progress))

    async def has_begun() -> bool:
        return TargetState.BUILDING in (await known(backends)).values()

    await eventually(has_begun)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await known(backends) == {before: TargetState.LIVE}
    await assert_no_leftovers(backends)
