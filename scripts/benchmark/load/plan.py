"""Input and output of the load generator."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from scripts.errors import CliError


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    url: str
    paths: Sequence[str] = ("",)
    """What follows the URL in each request; paths and bodies are repeated until all of both were sent."""
    bodies: Sequence[Sequence[str]] = (("",),)
    """Bodies of each request: mostly one, or several that are sent one after the other. Without one it is a GET."""
    skip: int = 0
    """Requests that are left out at the beginning: another run has sent them."""
    headers: dict[str, str] = field(default_factory=dict)
    expected: str
    """Text in the first 400 bytes of every correct response."""
    statuses: Sequence[int] = (200,)
    """Of correct responses."""
    concurrency: int = 1
    seconds: float = 3.0
    requests: int = 0
    """Minimum of a closed loop, even if it takes longer than `seconds`."""
    rate: float = 0.0
    """Requests per second of an open loop; 0 means a closed loop."""
    warm_up: bool = True


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """Latencies are in milliseconds."""

    requests: int
    sent: int
    """Requests including the warm-up, which costs CPU but is not in the other numbers."""
    errors: int
    per_second: float
    p50: float
    p95: float
    p99: float
    body_bytes: float

    @classmethod
    def from_latencies(
        cls, latencies: Sequence[float], sent: int, wrong: Sequence[str], body_bytes: int, seconds: float
    ) -> "LoadResult":
        """Summarise latencies (in seconds) and descriptions of wrong responses.

        Raises CliError if no response was correct.
        """
        if not latencies:
            raise CliError(f"No response was correct; the first one: {wrong[0] if wrong else 'none arrived'}.")
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
    """Return the median of each number; errors and requests are summed."""

    def median_of(name: str) -> float:
        return float(median(getattr(run, name) for run in runs))

    return LoadResult(
        requests=sum(run.requests for run in runs),
        sent=sum(run.sent for run in runs),
        errors=sum(run.errors for run in runs),
        per_second=median_of("per_second"),
        p50=median_of("p50"),
        p95=median_of("p95"),
        p99=median_of("p99"),
        body_bytes=median_of("body_bytes"),
    )
