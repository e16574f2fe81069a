"""Results of a benchmark, and the numbers derived from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from scripts.benchmark.comparison.memory_growth import MemoryGrowth
from scripts.benchmark.comparison.scenarios import CONSTANT, RAW, SERVICE, UNCACHED, Row
from scripts.benchmark.comparison.worker_limits import WorkerLimit

GROWTH_CONCURRENCIES = (1, 8)


@dataclass(frozen=True)
class LatencyGrowth:
    """Growth of the service's uncached p50 from one catalogue size to the next."""

    smaller: int
    larger: int
    concurrency: int
    times: float


@dataclass(frozen=True)
class PeakThroughput:
    """Requests per second of the service and of the constant server, each at its best concurrency."""

    name: str
    size: int
    service: float
    bare: float

    @property
    def ratio(self) -> float:
        return self.service / self.bare


@dataclass
class BenchmarkResults:
    rows: list[Row] = field(default_factory=list)
    worker: list[WorkerLimit] = field(default_factory=list)
    memory: MemoryGrowth | None = None

    @property
    def errors(self) -> int:
        of_rows = sum(result.run.errors for row in self.rows for result in row.results.values())
        return of_rows + (self.memory.errors if self.memory else 0)

    @property
    def growth(self) -> list[LatencyGrowth]:
        return [
            LatencyGrowth(smaller.size, larger.size, concurrency, _p50(larger) / _p50(smaller))
            for concurrency in GROWTH_CONCURRENCIES
            for smaller, larger in pairwise(self._uncached(concurrency))
        ]

    @property
    def highest(self) -> list[PeakThroughput]:
        """Peak throughput of each row that is compared with the constant server."""
        compared: dict[tuple[str, int], list[Row]] = {}
        for row in self.rows:
            if row.against == CONSTANT and not row.rate:
                compared.setdefault((row.name, row.size), []).append(row)
        return [
            PeakThroughput(name, size, service=_peak(rows, SERVICE), bare=_peak(rows, CONSTANT))
            for (name, size), rows in compared.items()
        ]

    def _uncached(self, concurrency: int) -> list[Row]:
        """Return the uncached rows, sorted by catalogue size."""
        rows = [row for row in self.rows if (row.name, row.against, row.concurrency) == (UNCACHED, RAW, concurrency)]
        return sorted(rows, key=lambda row: row.size)


def _peak(rows: Iterable[Row], who: str) -> float:
    return max(row.results[who].run.per_second for row in rows)


def _p50(row: Row) -> float:
    return row.results[SERVICE].run.p50
