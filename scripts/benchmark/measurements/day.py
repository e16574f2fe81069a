"""A day of the web client's traffic, some minutes of it: what visitors request, what is cached, and what it costs."""

import asyncio
from pathlib import Path

from scripts.benchmark.comparison.suite import Report
from scripts.benchmark.measurements.day_figures import Day, Traffic
from scripts.benchmark.measurements.departure_writer import open_writer
from scripts.benchmark.measurements.installation import (
    Installation,
    measure_visitors,
    run_installation,
    start_visitors,
)
from scripts.benchmark.measurements.request_costs import measure_costs, measure_idle
from scripts.sizing.day_curve import share_of_day

HOURS = tuple(range(0, 24, 3))
"""Hours of the day of which some seconds are replayed, as fast as they are in life."""


def measure(data: Path, departures: int, visitors: int, seconds: float, report: Report) -> Day:
    """Replay the day. Raises: CliError, if another benchmark runs."""
    with run_installation(data, departures, report) as installation:
        return asyncio.run(_replay(installation, visitors, seconds, report))


async def _replay(installation: Installation, peak: int, seconds: float, report: Report) -> Day:
    made = installation.catalogue
    visitors, hours = await start_visitors(installation, peak), dict[int, Traffic]()
    async with open_writer(made.env["DATABASE_URL"], made.size) as writer:
        for hour in HOURS:
            number = max(1, round(peak * share_of_day(hour * 3600)))
            hours[hour] = await measure_visitors(installation, visitors, writer, number, seconds)
            report(f"  {hour}:00, {number:,} visitors: {hours[hour].per_second:,.0f} requests/s")
    await visitors.resize(0)
    report("  each kind of request alone")
    idle = await measure_idle(installation.cpu, seconds)
    costs = await measure_costs(made, visitors, installation.cpu, idle, seconds / 2)
    await visitors.leave()
    return Day.from_hours(made.size, hours, idle, costs)
