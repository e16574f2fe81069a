"""Present benchmark results as a table and sentences, and as JSON."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.table import Table

from scripts.benchmark.comparison.results import BenchmarkResults
from scripts.benchmark.comparison.scenarios import SERVICE, Row

COLUMNS = (
    "departures",
    "what",
    "at once",
    "who",
    "req/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "errors",
    "CPU ms/req",
    "MB",
    "ratio",
    "API CPU, of a search",
)


def table(rows: Sequence[Row]) -> Table:
    lines = Table(*COLUMNS, title="The service against others that do the same work or less")
    for row in rows:
        for name, result in row.results.items():
            run = result.run
            cpu = ", ".join(f"{part} {ms:.2f}" for part, ms in result.cpu_ms.items() if ms >= 0.005)
            lines.add_row(
                f"{row.size:,}",
                row.name,
                row.at_once,
                name,
                f"{run.per_second:,.0f}",
                f"{run.p50:.2f}",
                f"{run.p95:.2f}",
                f"{run.p99:.2f}",
                str(run.errors),
                cpu,
                "" if result.memory_mb is None else f"{result.memory_mb:.0f}",
                row.ratio if name == SERVICE else "",
                "" if name != SERVICE or row.of_search is None else f"{row.of_search:.2f}",
            )
        lines.add_section()
    return lines


def sentences(measured: BenchmarkResults) -> Iterator[str]:
    for high in measured.highest:
        title = f"highest throughput of {high.name}, {high.size:,} departures"
        yield f"{title}: {high.service:,.0f}/s, {high.ratio:.2f} of the bare server's {high.bare:,.0f}/s"
    for growth in measured.growth:
        sizes = f"{growth.smaller:,} -> {growth.larger:,} departures"
        yield f"growth of uncached p50, {sizes}, {growth.concurrency} at once: {growth.times:.2f} times"
    for limit in measured.worker:
        cpu = ", ".join(f"{part} {ms:.3f}" for part, ms in limit.cpu_ms.items() if ms >= 0.0005)
        yield f"one worker, {limit.what}: {limit.per_second:,.0f} a second, CPU ms of each: {cpu}"
    if memory := measured.memory:
        megabytes = ", ".join(f"{size:.0f}" for size in memory.megabytes)
        requests = f"{memory.requests[0]:,} .. {memory.requests[-1]:,} mixed requests"
        errors = f"; {memory.errors} errors" if memory.errors else ""
        yield f"memory of the API's largest process after {requests}: {megabytes} MB{errors}"


def as_json(measured: BenchmarkResults) -> str:
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    rows = [
        asdict(row) | {"throughput_ratio": row.throughput_ratio, "p95_ratio": row.p95_ratio, "of_search": row.of_search}
        for row in measured.rows
    ]
    figures = {
        "highest": [asdict(high) | {"ratio": high.ratio} for high in measured.highest],
        "growth": [asdict(step) for step in measured.growth],
        "worker": [asdict(limit) for limit in measured.worker],
        "memory": asdict(measured.memory) if measured.memory else None,
    }
    return json.dumps({"machine": machine, "rows": rows, **figures}, indent=1)
