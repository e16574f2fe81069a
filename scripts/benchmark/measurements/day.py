"""A day of the web client's traffic, some minutes of it: what visitors request, what is cached, and what it costs."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from core.concurrency.tasks import background_task
from scripts.benchmark.comparison.contestants import Cpu
from scripts.benchmark.comparison.suite import BUSY, SEED, TODAY, Report
from scripts.benchmark.datasets import Catalogue, catalogue
from scripts.benchmark.load.visit import Kind
from scripts.benchmark.load.visitors import Sent, Visitors
from scripts.benchmark.load.workload import searches
from scripts.benchmark.measurements.day_figures import Day, Hour
from scripts.benchmark.measurements.departure_writer import open_writer
from scripts.benchmark.measurements.hit_rate import count_fills
from scripts.benchmark.measurements.reindex_speed import clear_outbox
from scripts.benchmark.measurements.request_costs import measure_costs, measure_idle
from scripts.benchmark.processes import Server, api_server, measure_cpu, serving
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.processes import SMARTTRIP
from scripts.sizing.day_curve import share_of_day

HOURS = tuple(range(0, 24, 3))
"""Hours of the day of which some seconds are replayed, as fast as they are in life."""
POPULAR = 2000
"""Different searches, of which the nth is sent in proportion to 1/n."""
WARM_UP_SECONDS = 60
CHANGES_PER_VISITOR = 0.001
"""Changes of departures a second, by bookings and by their companies: assumed."""


@dataclass(frozen=True)
class Installation:
    """The measured system."""

    catalogue: Catalogue
    api: Server
    cpu: Cpu


def measure(data: Path, departures: int, visitors: int, seconds: float, report: Report) -> Day:
    """Replay the day. Raises: CliError, if another benchmark runs."""
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        made = catalogue(departures, services, TODAY)
        asyncio.run(clear_outbox(made.settings))
        env = {**made.env, "RATE_LIMIT_ENABLED": "true", "TRUSTED_PROXIES": "127.0.0.1"}
        command = ("/usr/bin/env", "WORKER_PORT={port}", SMARTTRIP, "worker")
        with serving(command, data / "worker.log", env) as worker, api_server(env, data / "api.log") as api:
            installation = Installation(made, api, measure_cpu(data, {"api": api, "worker": worker}))
            return asyncio.run(_replay(installation, visitors, seconds, report))


async def _replay(installation: Installation, peak: int, seconds: float, report: Report) -> Day:
    made = installation.catalogue
    visitors = Visitors(installation.api.url, searches(made.ids, POPULAR, SEED), SEED)
    # The servers have just started, and compile what they run often.
    await visitors.resize(peak)
    await asyncio.sleep(WARM_UP_SECONDS)
    hours = []
    async with open_writer(made.env["DATABASE_URL"], made.size) as writer:
        for hour in HOURS:
            number = max(1, round(peak * share_of_day(hour * 3600)))
            async with background_task(writer.run(number * CHANGES_PER_VISITOR)):
                await visitors.resize(number)
                # Responses are then as old as changes let them become.
                await asyncio.sleep(seconds / 2)
                hours.append(await _measure_hour(installation, visitors, hour, number, seconds))
            report(f"  {hour}:00, {number:,} visitors: {hours[-1].per_second:,.0f} requests/s")
    await visitors.resize(0)
    report("  each kind of request alone")
    idle = await measure_idle(installation.cpu, seconds)
    costs = await measure_costs(made, visitors, installation.cpu, idle, seconds / 2)
    await visitors.leave()
    return Day.from_hours(made.size, hours, idle, costs)


async def _measure_hour(installation: Installation, visitors: Visitors, hour: int, number: int, seconds: float) -> Hour:
    used, filled = installation.cpu(), count_fills(installation.api)
    visitors.sent.clear()
    await asyncio.sleep(seconds)
    sent = list(visitors.sent)
    answered = [each for each in sent if each.is_answered]
    requests = Counter(str(each.kind) for each in answered)
    return Hour(
        hour=hour,
        visitors=number,
        seconds=seconds,
        requests=requests,
        failed=len(sent) - len(answered),
        kept=1 - (count_fills(installation.api) - filled) / max(requests[Kind.SEARCH], 1),
        p95={kind: _p95(answered, kind) for kind in Kind},
        cpu={part: now - used[part] for part, now in installation.cpu().items()},
        changes=number * CHANGES_PER_VISITOR,
    )


def _p95(sent: Sequence[Sent], kind: Kind) -> float:
    times = [each.seconds * 1000 for each in sent if each.kind is kind]
    return quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else 0.0
