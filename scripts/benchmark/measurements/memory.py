"""Memory of a process during a reindex and a verify of a large catalogue."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop
from rich.table import Table

from core.configuration.settings import Settings
from core.gc_tuning import tune_gc
from indexer.rebuild.reindex import reindex
from indexer.rebuild.verify import verify
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import create_database
from scripts.dev_stack.context import running_stack

TENTHS = 10


@dataclass(frozen=True)
class Memory:
    """Resident memory in bytes at each tenth of the progress."""

    departures: int
    reindexing: dict[int, int] = field(default_factory=dict)
    verifying: dict[int, int] = field(default_factory=dict)


def measure(data: Path, departures: int, report: Report) -> Memory:
    """Measure the memory. Raises: CliError, if another benchmark runs."""
    memory = Memory(departures)
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue")
        settings = create_database(departures, services, TODAY)
        tune_gc()
        report("reindex")
        uvloop.run(_reindex(settings, memory))
        report("verify")
        asyncio.run(_verify(settings, memory))
    return memory


async def _reindex(settings: Settings, memory: Memory) -> None:
    record = _recorder(memory.departures, memory.reindexing)
    await reindex(settings, lambda progress: record(progress.done))


async def _verify(settings: Settings, memory: Memory) -> None:
    report = await verify(settings, repair=False, progress=_recorder(memory.departures, memory.verifying))
    assert report.in_sync, report.differences[:10]


def _recorder(departures: int, samples: dict[int, int]) -> Callable[[int], None]:
    process = psutil.Process()

    def record(done: int) -> None:
        tenth = done * TENTHS // departures
        if tenth not in samples:
            samples[tenth] = process.memory_info().rss

    return record


def table(memory: Memory) -> Table:
    rows = Table("departures", "reindex, MB", "verify, MB", title="Memory of the process")
    for tenth in sorted(memory.reindexing.keys() & memory.verifying.keys()):
        done = memory.departures * tenth // TENTHS
        rows.add_row(f"{done:,}", *(f"{samples[tenth] / 1e6:.0f}" for samples in (memory.reindexing, memory.verifying)))
    return rows
