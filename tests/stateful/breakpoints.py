"""Points at which a batch or a reindex waits while others go on, and may die."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest

from indexer.documents import builder
from indexer.feed import batch
from indexer.index import admin, bulk_writer, outbox, versions
from indexer.rebuild import loader, reindex

READING_AND_WRITING = ("before its version", "before reading", "before writing", "after writing")
IN_A_BATCH = (*READING_AND_WRITING, "before forgetting")
AT_THE_SWAP = ("before the swap", "after the swap")


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@dataclass
class Pause:
    point: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    dies: bool = False


_PAUSE: ContextVar[Pause | None] = ContextVar("pause", default=None)


@dataclass
class Running:
    """A batch or a reindex that has come to its point, or has ended before it."""

    task: asyncio.Task[Any]
    pause: Pause

    async def end(self, *, dies: bool) -> None:
        """Raises what it raises, unless it was killed."""
        self.pause.dies = dies
        self.pause.over.set()
        try:
            await self.task
        except Killed:
            pass
        except BaseExceptionGroup as failures:
            if failures.subgroup(Killed) is None:
                raise


async def run_to(point: str, work: Coroutine[Any, Any, object]) -> Running:
    pause = Pause(point)

    async def run() -> None:
        _PAUSE.set(pause)
        await work

    task = asyncio.create_task(run())
    reached = asyncio.create_task(pause.reached.wait())
    await asyncio.wait((task, reached), return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    return Running(task, pause)


def put_points(patch: pytest.MonkeyPatch) -> None:
    for module in (batch, loader):
        patch.setattr(module, "build_documents", _with_points(builder.build_documents, "before reading"))
    patch.setattr(versions, "next_version", _with_points(versions.next_version, "before its version"))
    patch.setattr(bulk_writer, "write", _with_points(bulk_writer.write, "before writing", "after writing"))
    patch.setattr(outbox, "remove", _with_points(outbox.remove, "before forgetting"))
    patch.setattr(admin, "swap_alias", _with_points(admin.swap_alias, "before the swap", "after the swap"))
    patch.setattr(reindex, "_discard", _unless_dead(reindex._discard))  # the dead clear nothing away


def _with_points(step: Callable[..., Any], before: str, after: str | None = None) -> Any:
    async def pausing(*arguments: Any, **options: Any) -> Any:
        await _reach(before)
        result = await step(*arguments, **options)
        await _reach(after)
        return result

    return pausing


async def _reach(point: str | None) -> None:
    pause = _PAUSE.get()
    if pause is None or pause.point != point:
        return
    pause.reached.set()
    await pause.over.wait()
    if pause.dies:
        raise Killed


def _unless_dead(step: Callable[..., Any]) -> Any:
    async def clear(*arguments: Any) -> None:
        pause = _PAUSE.get()
        if pause is None or not pause.dies:
            await step(*arguments)

    return clear
