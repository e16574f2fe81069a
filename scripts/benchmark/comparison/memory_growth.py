"""Memory of the API after many requests of all kinds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripts.benchmark.comparison.contestants import generate
from scripts.benchmark.load.plan import LoadPlan
from scripts.benchmark.processes import Server

PORTIONS = 10
SHARES = (4000, 3000, 3000)
"""Requests per portion: searches, reference data, events."""
CONCURRENCY = 8


@dataclass(frozen=True)
class MemoryGrowth:
    """Memory of the largest process after each number of requests, with a catalogue of `size` departures."""

    size: int
    requests: Sequence[int]
    megabytes: Sequence[float]
    errors: int


def measure_growth(
    size: int, server: Server, plans: Sequence[LoadPlan], shares: Sequence[int] = SHARES
) -> MemoryGrowth:
    """Send the kinds of requests one after the other in each portion. Raises CliError if no response was correct."""
    portion = [
        replace(plan, requests=share, seconds=0, concurrency=CONCURRENCY, warm_up=False)
        for plan, share in zip(plans, shares, strict=True)
    ]
    megabytes, errors = [], 0
    for _ in range(PORTIONS):
        errors += sum(generate(plan).errors for plan in portion)
        megabytes.append(server.memory_mb())
    return MemoryGrowth(size, [sum(shares) * (number + 1) for number in range(PORTIONS)], megabytes, errors)
