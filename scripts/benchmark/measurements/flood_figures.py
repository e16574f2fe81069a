"""Figures of floods, from what became of each request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from scripts.benchmark.load.flood_plan import Answer, Exchange, PhaseResult

WINDOW_SECONDS = 0.25
"""Length of the windows that are normal or not."""
NORMAL_FACTOR = 2.0
"""Multiple of the usual p95 up to which a window is normal."""


@dataclass(frozen=True)
class Run:
    """A phase, and the calmer one after it."""

    seconds: float
    result: PhaseResult
    after: Sequence[Exchange]
    cpu: Mapping[str, float]
    """CPU seconds by part of the system, those of the calmer phase included."""
    breaker_opened: bool

    @property
    def sent(self) -> int:
        return len(self.result.exchanges)

    def number(self, *answers: Answer) -> int:
        return sum(exchange.answer in answers for exchange in self.result.exchanges)

    @property
    def answered(self) -> int:
        return self.number(Answer.ANSWERED, Answer.DEGRADED)

    @property
    def answered_per_second(self) -> float:
        return self.answered / self.seconds

    def p95(self) -> float:
        """Return the latency, in seconds, that 95 % of the answers do not exceed."""
        return percentile(self.latencies(), 0.95)

    def latencies(self) -> list[float]:
        answered = (Answer.ANSWERED, Answer.DEGRADED)
        return [exchange.seconds for exchange in self.result.exchanges if exchange.answer in answered]


@dataclass(frozen=True)
class Flood:
    """Seconds and shares."""

    factor: float
    """What was offered, in multiples of the capacity."""
    answered: float
    """Answered searches, of the capacity."""
    degraded: float
    """Part of the answered that came from a fallback."""
    refused: float
    """Part of the offered."""
    failed: int
    p50: float
    p95: float
    p95_of_half: float
    """p95 in multiples of that at half the capacity."""
    refusal_p50: float
    refusal_p95: float
    """Time from sending to the refusal."""
    late_p95: float
    """Time from when a request was due until the generator sent it."""
    breaker_opened: bool
    generator_cores: float
    seconds_until_normal: float | None
    """None if it was not within the phase after the flood."""

    @classmethod
    def of(cls, factor: float, run: Run, capacity: float, half: Run) -> "Flood":
        """Summarise a flood; `half` is the same at half the capacity."""
        exchanges, latencies = run.result.exchanges, run.latencies()
        refusals = [each.received - each.sent for each in exchanges if each.answer is Answer.REFUSED]
        return cls(
            factor=factor,
            answered=run.answered_per_second / capacity,
            degraded=run.number(Answer.DEGRADED) / max(1, run.answered),
            refused=len(refusals) / max(1, run.sent),
            failed=run.number(Answer.FAILED),
            p50=percentile(latencies, 0.5),
            p95=percentile(latencies, 0.95),
            p95_of_half=percentile(latencies, 0.95) / half.p95(),
            refusal_p50=percentile(refusals, 0.5),
            refusal_p95=percentile(refusals, 0.95),
            late_p95=percentile([each.sent - each.due for each in exchanges], 0.95),
            breaker_opened=run.breaker_opened,
            generator_cores=run.result.cpu_seconds / run.seconds,
            seconds_until_normal=seconds_until_normal(run.after, half.p95()),
        )


@dataclass(frozen=True)
class Refusals:
    """What refusals cost in a closed loop of many clients, whose searches are nearly all refused."""

    per_second: float
    refused: float
    """Part of the searches."""
    cpu_microseconds: float
    """CPU time of the API for each, beyond that of the answers."""

    @classmethod
    def of(cls, run: Run, half: Run) -> "Refusals":
        """Take an answer to cost what it does at half the capacity."""
        refused = run.number(Answer.REFUSED)
        per_answer = half.cpu["api"] / max(1, half.answered)
        cpu = run.cpu["api"] - per_answer * run.answered
        return cls(refused / run.seconds, refused / max(1, run.sent), cpu / max(1, refused) * 1e6)


@dataclass(frozen=True)
class Variant:
    name: str
    capacity: float
    """Answers per second in a closed loop."""
    p95_at_half: float
    floods: Sequence[Flood]
    refusals: Refusals


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share does not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def seconds_until_normal(exchanges: Sequence[Exchange], usual_p95: float) -> float | None:
    """Return when the first window begins in which all are answered as usual; None if there is no such window."""
    windows: dict[int, list[Exchange]] = {}
    for exchange in exchanges:
        windows.setdefault(int(exchange.due / WINDOW_SECONDS), []).append(exchange)
    for number, window in sorted(windows.items()):
        answered = all(exchange.answer is Answer.ANSWERED for exchange in window)
        latency = percentile([exchange.seconds for exchange in window], 0.95)
        if answered and latency <= NORMAL_FACTOR * usual_p95:
            return number * WINDOW_SECONDS
    return None


COLUMNS = (
    "variant",
    "offered",
    "answered",
    "degraded",
    "refused",
    "failed",
    "p50, p95, ms",
    "p95, of half",
    "refused in, p50, p95, ms",
    "late, p95, ms",
    "breaker opened",
    "generator, cores",
    "normal after, s",
)


def table(variants: Sequence[Variant]) -> Table:
    rows = Table(*COLUMNS, title="Answers of one process to floods, of its capacity")
    for variant in variants:
        refusals = variant.refusals
        rows.add_section()
        rows.add_row(
            f"{variant.name}: {variant.capacity:.0f}/s, p95 at half {variant.p95_at_half * 1000:.0f} ms; "
            f"{refusals.cpu_microseconds:.0f} µs per refusal ({refusals.per_second:.0f}/s, {refusals.refused:.0%})"
        )
        for flood in variant.floods:
            rows.add_row("", *_cells(flood))
    return rows


def _cells(flood: Flood) -> tuple[str, ...]:
    normal = flood.seconds_until_normal
    return (
        f"{flood.factor:g}",
        f"{flood.answered:.0%}",
        f"{flood.degraded:.0%}",
        f"{flood.refused:.0%}",
        f"{flood.failed}",
        f"{flood.p50 * 1000:.0f}, {flood.p95 * 1000:.0f}",
        f"{flood.p95_of_half:.1f}",
        f"{flood.refusal_p50 * 1000:.1f}, {flood.refusal_p95 * 1000:.1f}",
        f"{flood.late_p95 * 1000:.1f}",
        "yes" if flood.breaker_opened else "no",
        f"{flood.generator_cores:.2f}",
        "later" if normal is None else f"{normal:.2f}",
    )
