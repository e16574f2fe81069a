"""What the API's processes hold after many requests of all kinds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripts.benchmark.compare import generate
from scripts.benchmark.load_plan import LoadPlan
from scripts.benchmark.processes import Server

PORTIONS = 10
SHARES = (4000, 3000, 3000)
"""Requests of each portion: searches, reference data, events."""
CONCURRENCY = 8


@dataclass(frozen=True)
class Soak:
    """Of a catalogue of `size` departures: what the largest process holds after so many requests."""

    size: int
    requests: Sequence[int]
    megabytes: Sequence[float]
    errors: int


def soak(size: int, server: Server, plans: Sequence[LoadPlan], shares: Sequence[int] = SHARES) -> Soak:
    """The kinds of requests follow each other within each portion. Raises CliError if no answer was right."""
    portion = [
        replace(plan, requests=share, seconds=0, concurrency=CONCURRENCY, warm_up=False)
        for plan, share in zip(plans, shares, strict=True)
    ]
    megabytes, errors = [], 0
    for _ in range(PORTIONS):
        errors += sum(generate(plan).errors for plan in portion)
        megabytes.append(server.memory_mb())
    return Soak(size, [sum(shares) * (number + 1) for number in range(PORTIONS)], megabytes, errors)
