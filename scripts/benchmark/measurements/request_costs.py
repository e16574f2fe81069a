"""What a request of each kind costs each part of the system, at a moderate rate, with rate limits."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from itertools import cycle, islice

from core.concurrency.tasks import task_group
from scripts.benchmark.comparison.bench import SEED
from scripts.benchmark.comparison.contestants import Cpu
from scripts.benchmark.datasets import Catalogue
from scripts.benchmark.load.open_loop import due_times
from scripts.benchmark.load.visit import Kind, Step, visit
from scripts.benchmark.load.visitors import Visitors
from scripts.benchmark.load.workload import searches

RATE = 50
"""Requests a second."""
POPULAR = 5
VISITS = 2000
"""More than there are requests of a kind, so that each start of a session is that of a new one."""
SETTLE_SECONDS = 3
"""After which the worker has stored what it was sent."""

Costs = Mapping[str, Mapping[str, float]]
"""Milliseconds of a core for a request, by kind and by part of the system."""


async def measure_idle(cpu: Cpu, seconds: float) -> dict[str, float]:
    """Return the cores that each part uses without requests."""
    before = cpu()
    await asyncio.sleep(seconds)
    return {part: (now - before[part]) / seconds for part, now in cpu().items()}


async def measure_costs(
    made: Catalogue, visitors: Visitors, cpu: Cpu, idle: Mapping[str, float], seconds: float
) -> dict[str, dict[str, float]]:
    """Send requests of one kind after the other; return their costs beyond those of idling."""
    costs = {}
    for kind, steps in steps_by_kind(made).items():
        before = cpu()
        number = int(RATE * seconds)
        async with task_group() as tasks:
            sent = enumerate(islice(cycle(steps), number))
            async for _ in due_times(RATE, number):
                tasks.create_task(visitors.send(*next(sent)))
        await asyncio.sleep(SETTLE_SECONDS)
        length = seconds + SETTLE_SECONDS
        costs[kind] = {part: (now - before[part] - idle[part] * length) / number * 1000 for part, now in cpu().items()}
    return costs


def steps_by_kind(made: Catalogue) -> dict[str, list[Step]]:
    """Return requests of each kind; of searches, popular ones and such as nobody has made before.

    The visitors are new ones in each run: sessions of an earlier run would be found, and restarted if they have ended.
    """
    run = random.getrandbits(64)
    bodies = searches(made.ids, 5000, SEED + 1)
    rng = random.Random(SEED)
    by_kind: dict[str, list[Step]] = {kind: [] for kind in Kind if kind is not Kind.SEARCH}
    for number in range(VISITS):
        for step in _steps(f"{run} {number}", rng.sample(range(1, made.size + 1), 30)):
            if step.kind is not Kind.SEARCH:
                by_kind[step.kind].append(step)
    search = [Step(0, Kind.SEARCH, "/api/v2/recommendations", body) for body in bodies]
    return {**by_kind, "cached search": search[:POPULAR], "uncached search": search[POPULAR:]}


def _steps(seed: str, trips: list[int]) -> Iterable[Step]:
    """Yield the steps of a visit whose searches find these trips."""
    made = visit(random.Random(seed), dict)
    step = next(made)
    while True:
        yield step
        try:
            step = made.send(trips if step.kind is Kind.SEARCH else [])
        except StopIteration:
            return
