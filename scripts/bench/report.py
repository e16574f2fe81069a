"""The rows as a table for people and as JSON for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from scripts.bench.rows import Row

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
    "ratio",
)


def table(rows: Sequence[Row]) -> Table:
    drawn = Table(*COLUMNS, title="The service against others that do the same work or less")
    for row in rows:
        for name, result in row.results.items():
            run = result.run
            cpu = ", ".join(f"{part} {ms:.2f}" for part, ms in result.cpu_ms.items() if ms >= 0.005)
            drawn.add_row(
                f"{row.size:,}",
                row.name,
                str(row.concurrency),
                name,
                f"{run.per_second:,.0f}",
                f"{run.p50:.2f}",
                f"{run.p95:.2f}",
                f"{run.p99:.2f}",
                str(run.errors),
                cpu,
                "" if name == row.against else f"{row.throughput_ratio:.2f}",
            )
        drawn.add_section()
    return drawn


def write_json(rows: Sequence[Row], path: Path) -> None:
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    measured = [asdict(row) | {"throughput_ratio": row.throughput_ratio, "p95_ratio": row.p95_ratio} for row in rows]
    path.write_text(json.dumps({"machine": machine, "rows": measured}, indent=1))
