"""All that a benchmark measured, and what follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from scripts.benchmark.memory_growth import Soak
from scripts.benchmark.scenarios import BARE, RAW, SERVICE, UNCACHED, Row

GROWTH_AT = (1, 8)
"""At once."""


@dataclass(frozen=True)
class Growth:
    """Of the service's uncached p50 from one size to the next."""

    smaller: int
    larger: int
    concurrency: int
    times: float


@dataclass(frozen=True)
class Highest:
    """Throughput of the service and of the bare server, requests/s, each with as many at once as suits it best."""

    name: str
    size: int
    service: float
    bare: float

    @property
    def ratio(self) -> float:
        return self.service / self.bare


@dataclass
class Measured:
    rows: list[Row] = field(default_factory=list)
    memory: Soak | None = None

    @property
    def errors(self) -> int:
        of_rows = sum(result.run.errors for row in self.rows for result in row.results.values())
        return of_rows + (self.memory.errors if self.memory else 0)

    @property
    def growth(self) -> list[Growth]:
        return [
            Growth(smaller.size, larger.size, concurrency, _p50(larger) / _p50(smaller))
            for concurrency in GROWTH_AT
            for smaller, larger in pairwise(self._uncached(concurrency))
        ]

    @property
    def highest(self) -> list[Highest]:
        """Of all that is compared with the bare server."""
        compared: dict[tuple[str, int], list[Row]] = {}
        for row in self.rows:
            if row.against == BARE and not row.rate:
                compared.setdefault((row.name, row.size), []).append(row)
        return [
            Highest(name, size, service=_highest(rows, SERVICE), bare=_highest(rows, BARE))
            for (name, size), rows in compared.items()
        ]

    def _uncached(self, concurrency: int) -> list[Row]:
        """By size."""
        rows = [row for row in self.rows if (row.name, row.against, row.concurrency) == (UNCACHED, RAW, concurrency)]
        return sorted(rows, key=lambda row: row.size)


def _highest(rows: Iterable[Row], who: str) -> float:
    return max(row.results[who].run.per_second for row in rows)


def _p50(row: Row) -> float:
    return row.results[SERVICE].run.p50
