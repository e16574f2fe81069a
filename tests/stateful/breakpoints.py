"""Breakpoints at which a batch or a reindex is suspended while others run, and may be killed."""

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

REBUILD_POINTS = ("before version", "before read", "before write", "after write")
BATCH_POINTS = (*REBUILD_POINTS, "before row removal")
SWAP_POINTS = ("before swap", "after swap")


class Killed(BaseException):
    """Simulates SIGKILL; derived from BaseException so that no handler catches it."""


@dataclass
class Suspension:
    point: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    resumed: asyncio.Event = field(default_factory=asyncio.Event)
    killed: bool = False


_SUSPENSION: ContextVar[Suspension | None] = ContextVar("suspension", default=None)


@dataclass
class SuspendedTask:
    """A batch or a reindex that is suspended at its breakpoint, or has ended before it."""

    task: asyncio.Task[Any]
    suspension: Suspension

    async def end(self, *, killed: bool) -> None:
        """Resume the task, or kill it, and wait for its end. Raises: the error of the task, unless it was killed."""
        self.suspension.killed = killed
        self.suspension.resumed.set()
        try:
            await self.task
        except Killed:
            pass
        except BaseExceptionGroup as failures:
            if failures.subgroup(Killed) is None:
                raise


async def run_until(point: str, work: Coroutine[Any, Any, object]) -> SuspendedTask:
    suspension = Suspension(point)

    async def run() -> None:
        _SUSPENSION.set(suspension)
        await work

    task = asyncio.create_task(run())
    reached = asyncio.create_task(suspension.reached.wait())
    await asyncio.wait((task, reached), return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    return SuspendedTask(task, suspension)


def install_breakpoints(patch: pytest.MonkeyPatch) -> None:
    for module in (batch, loader):
        patch.setattr(module, "build_documents", _with_breakpoints(builder.build_documents, "before read"))
    patch.setattr(versions, "next_version", _with_breakpoints(versions.next_version, "before version"))
    patch.setattr(bulk_writer, "write", _with_breakpoints(bulk_writer.write, "before write", "after write"))
    patch.setattr(outbox, "remove", _with_breakpoints(outbox.remove, "before row removal"))
    patch.setattr(admin, "swap_alias", _with_breakpoints(admin.swap_alias, "before swap", "after swap"))
    patch.setattr(reindex, "_discard", _unless_killed(reindex._discard))  # a killed reindex does not clean up


def _with_breakpoints(step: Callable[..., Any], before: str, after: str | None = None) -> Any:
    async def with_breakpoints(*arguments: Any, **options: Any) -> Any:
        await _pause_at(before)
        result = await step(*arguments, **options)
        await _pause_at(after)
        return result

    return with_breakpoints


async def _pause_at(point: str | None) -> None:
    suspension = _SUSPENSION.get()
    if suspension is None or suspension.point != point:
        return
    suspension.reached.set()
    await suspension.resumed.wait()
    if suspension.killed:
        raise Killed


def _unless_killed(step: Callable[..., Any]) -> Any:
    async def discard(*arguments: Any) -> None:
        suspension = _SUSPENSION.get()
        if suspension is None or not suspension.killed:
            await step(*arguments)

    return discard
