"""`smarttrip bench`."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

from pathlib import Path
from typing import Annotated

import typer

from scripts.errors import ExitCode

app = typer.Typer(invoke_without_command=True)


@app.callback()
def bench(  # noqa: PLR0913, PLR0917 -- each is an option
    context: typer.Context,
    sizes: Annotated[str, typer.Option(help="Departures, comma list.")] = "1000,10000,100000",
    million: Annotated[bool, typer.Option("--1m", help="Also a million departures.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender; medians count.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of one turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
) -> None:
    """Measure the service against raw Elasticsearch, a bare server and a service without an index."""
    if context.invoked_subcommand:
        return
    from rich.console import Console

    from scripts.benchmark.report import sentences, table, write_json
    from scripts.benchmark.suite import bench as measure
    from scripts.dev_stack.paths import cache_root

    chosen = [int(size) for size in sizes.split(",")] + ([1_000_000] if million else [])
    measured = measure(cache_root() / "bench", chosen, rounds, seconds, typer.echo)
    Console(width=160).print(table(measured.rows))
    for sentence in sentences(measured):
        typer.echo(sentence)
    if json:
        write_json(measured, json)
    if measured.errors:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def writers() -> None:
    """Measure what the triggers cost the platform's writers."""
    from rich.console import Console

    from scripts.benchmark.trigger_cost import measure, table
    from scripts.dev_stack.paths import cache_root

    Console(width=100).print(table(measure(cache_root() / "bench", typer.echo)))


@app.command()
def loading(
    departures: Annotated[int, typer.Option(min=1, help="Size of the catalogue.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender; medians count.")] = 3,
    memory: Annotated[bool, typer.Option("--memory", help="The memory of a reindex and a verify instead.")] = False,
) -> None:
    """Measure a full reindex against loading the same documents, already serialised, from a file."""
    from rich.console import Console

    from core.logging import configure_logs
    from scripts.benchmark import memory as holding
    from scripts.benchmark import reindex_speed
    from scripts.dev_stack.paths import cache_root

    configure_logs("error")
    data = cache_root() / "bench"
    drawn = (
        holding.table(holding.measure(data, departures, typer.echo))
        if memory
        else reindex_speed.table(reindex_speed.measure(data, departures, rounds, typer.echo))
    )
    Console(width=100).print(drawn)


@app.command()
def freshness(
    departures: Annotated[int, typer.Option(min=1000, help="Size of the catalogue.")] = 200_000,
    rate: Annotated[int, typer.Option(min=1, help="Changes a second.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each of the two turns.")] = 30,
) -> None:
    """Measure how soon searches see a change, alone and beside a large fan-out."""
    from rich.console import Console

    from scripts.benchmark.sync_latency import measure, table
    from scripts.dev_stack.paths import cache_root

    Console(width=110).print(table(measure(cache_root() / "bench", departures, rate, seconds, typer.echo)))
