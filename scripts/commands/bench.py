"""`smarttrip bench`: the benchmarks, on services of their own in the user's cache."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from pathlib import Path
from typing import Annotated

import typer

from scripts.errors import ExitCode

app = typer.Typer(invoke_without_command=True)

Rounds = Annotated[int, typer.Option(min=1, help="Runs of each contestant; the median counts.")]


@app.callback()
def bench(  # noqa: PLR0913, PLR0917 -- each is an option
    context: typer.Context,
    sizes: Annotated[str, typer.Option(help="Catalogue sizes, separated by commas.")] = "1000,10000,100000",
    million: Annotated[bool, typer.Option("--1m", help="Add a catalogue of a million departures.")] = False,
    rounds: Rounds = 3,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of one run, in seconds.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file, too.")] = None,
) -> None:
    """Compare the API with raw Elasticsearch, a constant response, and scoring in Python without an index."""
    if context.invoked_subcommand:
        return
    from rich.console import Console

    from scripts.benchmark.report import sentences, table, write_json
    from scripts.benchmark.suite import bench as measure
    from scripts.dev_stack.paths import cache_root

    all_sizes = [int(size) for size in sizes.split(",")] + ([1_000_000] if million else [])
    measured = measure(cache_root() / "bench", all_sizes, rounds, seconds, typer.echo)
    Console(width=160).print(table(measured.rows))
    for sentence in sentences(measured):
        typer.echo(sentence)
    if json:
        write_json(measured, json)
    if measured.errors:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def writers() -> None:
    """Measure what the triggers cost applications that write to Postgres."""
    from rich.console import Console

    from scripts.benchmark.trigger_cost import measure, table
    from scripts.dev_stack.paths import cache_root

    Console(width=100).print(table(measure(cache_root() / "bench", typer.echo)))


@app.command()
def loading(
    departures: Annotated[int, typer.Option(min=1, help="Size of the catalogue, in departures.")] = 100_000,
    rounds: Rounds = 3,
    memory: Annotated[bool, typer.Option("--memory", help="Measure the memory of reindex and verify.")] = False,
) -> None:
    """Compare the speed of a full reindex with loading the same documents, already serialised, from a file."""
    from rich.console import Console

    from core.logging import configure_logs
    from scripts.benchmark import memory as memory_benchmark
    from scripts.benchmark import reindex_speed
    from scripts.dev_stack.paths import cache_root

    configure_logs("error")
    data = cache_root() / "bench"
    if memory:
        table = memory_benchmark.table(memory_benchmark.measure(data, departures, typer.echo))
    else:
        table = reindex_speed.table(reindex_speed.measure(data, departures, rounds, typer.echo))
    Console(width=100).print(table)


@app.command()
def freshness(
    departures: Annotated[int, typer.Option(min=1000, help="Size of the catalogue, in departures.")] = 200_000,
    rate: Annotated[int, typer.Option(min=1, help="Changes per second.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each of the two runs, in seconds.")] = 30,
) -> None:
    """Measure the time from a commit until searches see it, alone and during a large fan-out."""
    from rich.console import Console

    from scripts.benchmark.sync_latency import measure, table
    from scripts.dev_stack.paths import cache_root

    Console(width=110).print(table(measure(cache_root() / "bench", departures, rate, seconds, typer.echo)))
