"""`smarttrip bench`."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

from pathlib import Path
from typing import Annotated

import typer

from scripts.errors import Exit


def bench(
    sizes: Annotated[str, typer.Option(help="Departures, comma list.")] = "1000,10000,100000",
    million: Annotated[bool, typer.Option("--1m", help="Also a million departures.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender; medians count.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of one turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
) -> None:
    """Measure the service against raw Elasticsearch, a bare server and a service without an index."""
    from rich.console import Console

    from scripts.bench.bench import bench as measure
    from scripts.bench.report import table, write_json
    from scripts.stack.folders import cache_root

    chosen = [int(size) for size in sizes.split(",")] + ([1_000_000] if million else [])
    rows = measure(cache_root() / "bench", chosen, rounds, seconds, typer.echo)
    Console(width=160).print(table(rows))
    if json:
        write_json(rows, json)
    if any(result.run.errors for row in rows for result in row.results.values()):
        raise typer.Exit(Exit.FAILED)
