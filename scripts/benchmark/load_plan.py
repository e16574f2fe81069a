"""What is asked of the load generator, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from scripts.errors import CliError


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    url: str
    method: str = "POST"
    bodies: Sequence[Sequence[str]] = (("",),)
    """What is sent for each request: mostly one body, or several one after the other."""
    headers: dict[str, str] = field(default_factory=dict)
    expected: str
    """Text that stands in the first 400 bytes of every right answer."""
    status: int = 200
    concurrency: int = 1
    seconds: float = 3.0
    requests: int = 0
    """That a closed loop sends at least, however much longer that takes."""
    rate: float = 0.0
    """Requests a second of an open loop; 0 is a closed loop."""
    warm_up: bool = True


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """Latencies in milliseconds."""

    requests: int
    sent: int
    """With those of the warm-up, which cost CPU but are not in the other figures."""
    errors: int
    per_second: float
    p50: float
    p95: float
    p99: float
    body_bytes: float

    @classmethod
    def of(
        cls, latencies: Sequence[float], sent: int, wrong: Sequence[str], body_bytes: int, seconds: float
    ) -> "LoadResult":
        """`wrong` tells of each wrong answer. Raises CliError if no answer was right."""
        if not latencies:
            raise CliError(f"No answer was right; the first one: {wrong[0] if wrong else 'none came'}.")
        ordered = sorted(latencies)
        count = len(ordered)

        def percentile(share: float) -> float:
            return ordered[min(int(count * share), count - 1)] * 1000

        return cls(
            requests=count,
            sent=sent,
            errors=len(wrong),
            per_second=count / seconds,
            p50=percentile(0.50),
            p95=percentile(0.95),
            p99=percentile(0.99),
            body_bytes=body_bytes / count,
        )


def median_run(runs: Sequence[LoadResult]) -> LoadResult:
    """Figure by figure the median; errors and requests are summed."""

    def of(name: str) -> float:
        return float(median(getattr(run, name) for run in runs))

    return LoadResult(
        requests=sum(run.requests for run in runs),
        sent=sum(run.sent for run in runs),
        errors=sum(run.errors for run in runs),
        per_second=of("per_second"),
        p50=of("p50"),
        p95=of("p95"),
        p99=of("p99"),
        body_bytes=of("body_bytes"),
    )
