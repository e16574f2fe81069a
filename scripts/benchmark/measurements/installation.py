"""An installation of API and worker on a large catalogue, and what so many visitors at a time make of it."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from core.concurrency.tasks import background_task
from scripts.benchmark.comparison.bench import SEED
from scripts.benchmark.comparison.contestants import Cpu
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import Catalogue, catalogue, clear_outbox
from scripts.benchmark.load.visit import Kind
from scripts.benchmark.load.visitors import Sent, Visitors
from scripts.benchmark.load.workload import searches
from scripts.benchmark.measurements.day_figures import Traffic
from scripts.benchmark.measurements.departure_writer import DepartureWriter
from scripts.benchmark.measurements.hit_rate import count_fills
from scripts.benchmark.processes import Server, api_server, measure_cpu, worker_process
from scripts.dev_stack.context import running_stack

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


@contextmanager
def run_installation(data: Path, departures: int, report: Report) -> Iterator[Installation]:
    """Run API and worker, with rate limits, during the block. Raises: CliError, if another benchmark runs."""
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        made = catalogue(departures, services, TODAY)
        asyncio.run(clear_outbox(made.settings))
        env = {**made.env, "RATE_LIMIT_ENABLED": "true", "TRUSTED_PROXIES": "127.0.0.1"}
        with worker_process(env, data / "worker.log") as worker, api_server(env, data / "api.log") as api:
            yield Installation(made, api, measure_cpu(data, {"api": api, "worker": worker}))


async def start_visitors(installation: Installation, number: int) -> Visitors:
    """Return visitors who have been on the site for so long that the servers have compiled what they run often."""
    visitors = Visitors(installation.api.url, searches(installation.catalogue.ids, POPULAR, SEED), SEED)
    await visitors.resize(number)
    await asyncio.sleep(WARM_UP_SECONDS)
    return visitors


async def measure_visitors(
    installation: Installation, visitors: Visitors, writer: DepartureWriter, number: int, seconds: float
) -> Traffic:
    """Let `number` visitors be on the site while departures change; return what was requested in `seconds`."""
    async with background_task(writer.run(number * CHANGES_PER_VISITOR)):
        await visitors.resize(number)
        # Responses are then as old as changes let them become.
        await asyncio.sleep(seconds / 2)
        return await _measure(installation, visitors, number, seconds)


async def _measure(installation: Installation, visitors: Visitors, number: int, seconds: float) -> Traffic:
    used, filled = installation.cpu(), count_fills(installation.api)
    visitors.sent.clear()
    await asyncio.sleep(seconds)
    sent = list(visitors.sent)
    answered = [each for each in sent if each.is_answered]
    requests = Counter(str(each.kind) for each in answered)
    return Traffic(
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
