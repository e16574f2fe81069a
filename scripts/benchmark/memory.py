"""What a process holds while it reindexes and verifies, however large the catalogue."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop
from rich.table import Table

from core.gc_tuning import tune_gc
from core.settings import Settings
from indexer.rebuild.progress import Progress
from indexer.rebuild.reindex import reindex
from indexer.rebuild.verify import verify
from scripts.benchmark.datasets import filled
from scripts.benchmark.suite import BUSY, TODAY, Say
from scripts.dev_stack.context import running_stack

TENTHS = 10


@dataclass(frozen=True)
class Memory:
    """Bytes that this process holds, at each tenth of the way."""

    departures: int
    reindexing: dict[int, int] = field(default_factory=dict)
    verifying: dict[int, int] = field(default_factory=dict)


def measure(data: Path, departures: int, say: Say) -> Memory:
    """Raises CliError where another benchmark runs."""
    memory = Memory(departures)
    with running_stack(data, busy=BUSY) as services:
        say(f"{departures:,} departures: catalogue")
        settings = filled(departures, services, TODAY)
        tune_gc()
        say("reindex")
        uvloop.run(_reindex(settings, memory))
        say("verify")
        asyncio.run(_verify(settings, memory))
    return memory


async def _reindex(settings: Settings, memory: Memory) -> None:
    note = _noting(memory.departures, memory.reindexing)

    def hear(progress: Progress) -> None:
        note(progress.done)

    await reindex(settings, hear)


async def _verify(settings: Settings, memory: Memory) -> None:
    report = await verify(settings, repair=False, progress=_noting(memory.departures, memory.verifying))
    assert report.in_sync, report.differences[:10]


def _noting(departures: int, held: dict[int, int]) -> Callable[[int], None]:
    process = psutil.Process()

    def note(done: int) -> None:
        tenth = done * TENTHS // departures
        if tenth not in held:
            held[tenth] = process.memory_info().rss

    return note


def table(memory: Memory) -> Table:
    drawn = Table("departures", "reindex, MB", "verify, MB", title="Memory of the process")
    for tenth in sorted(memory.reindexing.keys() & memory.verifying.keys()):
        done = memory.departures * tenth // TENTHS
        drawn.add_row(f"{done:,}", *(f"{held[tenth] / 1e6:.0f}" for held in (memory.reindexing, memory.verifying)))
    return drawn
