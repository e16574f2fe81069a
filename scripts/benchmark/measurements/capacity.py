"""The most visitors at a time to whom one API process and one worker respond in time."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from scripts.benchmark.comparison.suite import Report
from scripts.benchmark.measurements.day_figures import Traffic
from scripts.benchmark.measurements.departure_writer import open_writer
from scripts.benchmark.measurements.installation import (
    Installation,
    measure_visitors,
    run_installation,
    start_visitors,
)

MAX_P95 = 200.0
"""Milliseconds that 95 % of the requests of each kind may take."""
STEP = 1.25
"""Factor from one number of visitors to the next."""


def measure(data: Path, departures: int, visitors: int, seconds: float, report: Report) -> list[Traffic]:
    """Add visitors until requests fail or take too long. Raises: CliError, if another benchmark runs."""
    with run_installation(data, departures, report) as installation:
        return asyncio.run(_measure(installation, visitors, seconds, report))


async def _measure(installation: Installation, number: int, seconds: float, report: Report) -> list[Traffic]:
    made, steps = installation.catalogue, list[Traffic]()
    visitors = await start_visitors(installation, number)
    async with open_writer(made.env["DATABASE_URL"], made.size) as writer:
        while not steps or is_in_time(steps[-1]):
            steps.append(await measure_visitors(installation, visitors, writer, number, seconds))
            report(f"  {number:,} visitors: {steps[-1].per_second:,.0f} requests/s, p95 {slowest(steps[-1]):.0f} ms")
            number = round(number * STEP)
    await visitors.leave()
    return steps


def is_in_time(step: Traffic) -> bool:
    return not step.failed and slowest(step) < MAX_P95


def slowest(step: Traffic) -> float:
    """Return the highest of the 95th percentiles of all kinds of requests, in milliseconds."""
    return max(step.p95.values())


def table(steps: Sequence[Traffic]) -> Table:
    parts = list(steps[0].cpu)
    columns = ("visitors", "requests/s", "p95 of the slowest kind, ms", "failed", "searches kept")
    rows = Table(*columns, *(f"{part}, cores" for part in parts), caption=_caption(steps))
    for step in steps:
        cores = [f"{step.cpu[part] / step.seconds:.2f}" for part in parts]
        numbers = (f"{step.visitors:,}", f"{step.per_second:,.0f}", f"{slowest(step):.0f}", str(step.failed))
        rows.add_row(*numbers, f"{step.kept:.0%}", *cores)
    return rows


def _caption(steps: Sequence[Traffic]) -> str:
    highest = max((step.per_second for step in steps if is_in_time(step)), default=None)
    bound = f"95 % of the requests of each kind within {MAX_P95:.0f} ms, and none failed"
    return f"{bound}: not even at first" if highest is None else f"{bound}: up to {highest:,.0f} requests a second"
