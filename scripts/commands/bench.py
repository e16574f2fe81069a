"""`smarttrip bench`: the benchmarks, on services of their own in the user's cache."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from scripts.commands.group import FastGroup
from scripts.commands.options import JsonOption, folder, new_file, one_of, seconds, sizes, split_sizes, whole_number
from scripts.commands.output import print_json
from scripts.commands.settings import keep_logs_apart
from scripts.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(cls=FastGroup, invoke_without_command=True)

Rounds = Annotated[
    int,
    typer.Option(parser=whole_number(1, 1000), metavar="N", help="Runs of each contestant; the median counts."),
]
Departures = Annotated[
    int, typer.Option(parser=whole_number(1), metavar="N", help="Size of the catalogue, in departures.")
]
ChangeRate = Annotated[int, typer.Option(parser=whole_number(1, 100_000), metavar="N", help="Changes per second.")]
MILLION = 1_000_000
Result = TypeVar("Result")


def _flood_variants() -> Iterable[str]:
    from scripts.benchmark.measurements.flood import VARIANTS

    return VARIANTS


@app.callback()
def bench(  # noqa: PLR0913, PLR0917 -- each is an option
    context: typer.Context,
    sizes: Annotated[
        str, typer.Option(parser=sizes, metavar="N,N,...", help="Catalogue sizes, separated by commas.")
    ] = "1000,10000,100000",
    million: Annotated[bool, typer.Option("--1m", help="Add a catalogue of a million departures.")] = False,
    rounds: Rounds = 3,
    seconds: Annotated[
        float, typer.Option(parser=seconds(0.5), metavar="SECONDS", help="Length of one run, in seconds.")
    ] = 3,
    output: Annotated[
        Path | None, typer.Option(parser=new_file, metavar="FILE", help="Write the results to this file as JSON, too.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare the API with raw Elasticsearch, a constant response, and scoring in Python without an index."""
    if context.invoked_subcommand:
        return
    from rich.console import Console

    from scripts.benchmark.comparison.report import as_json, sentences, table
    from scripts.benchmark.comparison.suite import bench as measure
    from scripts.dev_stack.paths import cache_root

    all_sizes = split_sizes(sizes) + ([MILLION] if million else [])
    measured = measure(cache_root() / "bench", all_sizes, rounds, seconds, _report_steps(json))
    if output:
        output.write_text(as_json(measured))
    if json:
        typer.echo(as_json(measured))
    else:
        Console(width=160).print(table(measured.rows))
        for sentence in sentences(measured):
            typer.echo(sentence)
    if measured.errors:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def writers(json: JsonOption = False) -> None:
    """Measure what the triggers cost applications that write to Postgres."""
    from scripts.benchmark.measurements.trigger_cost import measure, table
    from scripts.dev_stack.paths import cache_root

    costs = measure(cache_root() / "bench", _report_steps(json))
    _print(costs, table, json, width=100)


@app.command()
def loading(
    departures: Departures = 100_000,
    rounds: Rounds = 3,
    memory: Annotated[bool, typer.Option("--memory", help="Measure the memory of reindex and verify.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare the speed of a full reindex with loading the same documents, already serialised, from a file."""
    from scripts.benchmark.measurements import memory as memory_benchmark
    from scripts.benchmark.measurements import reindex_speed
    from scripts.dev_stack.paths import cache_root

    data, report = cache_root() / "bench", _report_steps(json)
    if memory:
        _print(memory_benchmark.measure(data, departures, report), memory_benchmark.table, json, width=100)
    else:
        _print(reindex_speed.measure(data, departures, rounds, report), reindex_speed.table, json, width=100)


@app.command()
def freshness(
    departures: Annotated[
        int, typer.Option(parser=whole_number(1000), metavar="N", help="Size of the catalogue, in departures.")
    ] = 200_000,
    rate: ChangeRate = 200,
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of each of the two runs, in seconds.")
    ] = 30,
    json: JsonOption = False,
) -> None:
    """Measure the time from a commit until searches see it, alone and during a large fan-out."""
    from scripts.benchmark.measurements.sync_latency import measure, table
    from scripts.dev_stack.paths import cache_root

    lags = measure(cache_root() / "bench", departures, rate, seconds, _report_steps(json))
    _print(lags, table, json, width=110)


@app.command()
def caching(
    sizes: Annotated[
        str, typer.Option(parser=sizes, metavar="N,N,...", help="Catalogue sizes, separated by commas.")
    ] = "850,100000",
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of one run, in seconds.")
    ] = 15,
    workers: Annotated[
        int, typer.Option(parser=whole_number(1, 10), metavar="N", help="Number of workers that write to the index.")
    ] = 1,
    json: JsonOption = False,
) -> None:
    """Measure how many searches the cache answers while departures change, and how soon responses show a change."""
    from scripts.benchmark.measurements.hit_rate import measure, table
    from scripts.dev_stack.paths import cache_root

    measured = measure(cache_root() / "bench", split_sizes(sizes), seconds, _report_steps(json), workers=workers)
    _print(measured, table, json, width=130)


@app.command()
def flood(
    departures: Departures = 100_000,
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of each flood, in seconds.")
    ] = 6,
    variant: Annotated[
        str | None,
        typer.Option(
            **one_of(_flood_variants),
            metavar="NAME",
            help="Alone, beside a busy process, or with a slow Elasticsearch; else all three.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure what a process answers and refuses when it is offered up to ten times what it can answer."""
    from scripts.benchmark.measurements.flood import VARIANTS, measure
    from scripts.benchmark.measurements.flood_figures import table
    from scripts.dev_stack.paths import cache_root

    variants = [variant] if variant else list(VARIANTS)
    measured = measure(cache_root() / "bench", departures, seconds, _report_steps(json), variants)
    _print(measured, table, json, width=180)


@app.command()
def day(
    departures: Departures = 100_000,
    visitors: Annotated[
        int, typer.Option(parser=whole_number(1, 10_000), metavar="N", help="Visitors at the same time, at the peak.")
    ] = 1000,
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of each hour's part, in seconds.")
    ] = 40,
    json: JsonOption = False,
) -> None:
    """Replay some seconds of every third hour of a day: requests of visitors, cache hits, and CPU time of each part."""
    from rich.console import Group

    from scripts.benchmark.measurements.day import measure
    from scripts.benchmark.measurements.day_figures import tables
    from scripts.dev_stack.paths import cache_root

    measured = measure(cache_root() / "bench", departures, visitors, seconds, _report_steps(json))
    _print(measured, lambda day: Group(*tables(day)), json, width=160)


@app.command()
def capacity(
    departures: Departures = 100_000,
    visitors: Annotated[
        int, typer.Option(parser=whole_number(1, 10_000), metavar="N", help="Visitors at first.")
    ] = 1000,
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of each step, in seconds.")
    ] = 20,
    json: JsonOption = False,
) -> None:
    """Add visitors until 95 % of the requests of a kind take more than 200 ms, or one fails."""
    from scripts.benchmark.measurements.capacity import measure, table
    from scripts.dev_stack.paths import cache_root

    measured = measure(cache_root() / "bench", departures, visitors, seconds, _report_steps(json))
    _print(measured, table, json, width=160)


@app.command()
def growth(
    sizes: Annotated[
        str, typer.Option(parser=sizes, metavar="N,N,...", help="Catalogue sizes, separated by commas.")
    ] = "10000,100000,1000000",
    rate: ChangeRate = 200,
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of one run, in seconds.")
    ] = 15,
    json: JsonOption = False,
) -> None:
    """Measure how a search, a reindex, memory, the index and freshness grow with the catalogue."""
    from scripts.benchmark.measurements.growth import measure, table
    from scripts.dev_stack.paths import cache_root

    measured = measure(cache_root() / "bench", split_sizes(sizes), rate, seconds, _report_steps(json))
    _print(measured, table, json, width=160)


@app.command()
def sharding(
    departures: Departures = 100_000,
    searches: Annotated[
        int, typer.Option(parser=whole_number(20, 100_000), metavar="N", help="Searches of each run.")
    ] = 300,
    json: JsonOption = False,
) -> None:
    """Compare an index of one shard with two shards, an index per year of start, and one per continent."""
    from scripts.benchmark.measurements.sharding import measure, table
    from scripts.dev_stack.paths import cache_root

    measured = measure(cache_root() / "bench", departures, searches, _report_steps(json))
    _print(measured, table, json, width=160)


@app.command("search-cost")
def search_cost(
    sizes: Annotated[
        str, typer.Option(parser=sizes, metavar="N,N,...", help="Catalogue sizes, separated by commas.")
    ] = "10000,100000",
    searches: Annotated[
        int, typer.Option(parser=whole_number(20, 100_000), metavar="N", help="Searches of each turn.")
    ] = 200,
    rounds: Rounds = 5,
    json: JsonOption = False,
) -> None:
    """Compare Elasticsearch's CPU time for a search of the service with that of the raw reference, in turns."""
    from scripts.benchmark.measurements.search_cost import measure, table
    from scripts.dev_stack.paths import cache_root

    measured = measure(cache_root() / "bench", split_sizes(sizes), searches, rounds, _report_steps(json))
    _print(measured, table, json, width=120)


@app.command()
def tracing(
    departures: Departures = 10_000,
    rounds: Rounds = 20,
    seconds: Annotated[
        float, typer.Option(parser=seconds(0.2), metavar="SECONDS", help="Length of one turn, in seconds.")
    ] = 1,
    json: JsonOption = False,
) -> None:
    """Measure the CPU time per request with tracing absent, off, at 1 % and at 100 %."""
    from scripts.benchmark.measurements.tracing_cost import measure, table
    from scripts.dev_stack.paths import cache_root

    costs = measure(cache_root() / "bench", departures, rounds, seconds, _report_steps(json))
    _print(costs, table, json, width=100)


@app.command()
def profile(
    departures: Departures = 100_000,
    seconds: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Length of one recording, in seconds.")
    ] = 10,
    flames: Annotated[
        Path | None, typer.Option(parser=folder, metavar="FOLDER", help="Write the flame graphs into this folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Record with py-spy where the CPU time of searches, events, trip pages and lists goes, with flame graphs."""
    from scripts.benchmark.measurements.cpu_profile import measure, table
    from scripts.dev_stack.paths import cache_root

    data = cache_root() / "bench"
    profiles = measure(data, departures, seconds, flames or data / "profiles", _report_steps(json))
    _print(profiles, table, json, width=120)


@app.command()
def starting(rounds: Rounds = 20, json: JsonOption = False) -> None:
    """Measure the time from the start of the API until it is ready, and of its first search, while services run."""
    from scripts.benchmark.measurements.start_time import measure, table
    from scripts.dev_stack.paths import cache_root

    _print(measure(cache_root() / "bench", rounds, _report_steps(json)), table, json, width=80)


def _report_steps(json: bool) -> Callable[[str], None]:
    """Return what prints a step of a benchmark; with JSON on standard output, to standard error. Logs go there, too."""
    keep_logs_apart()
    return partial(typer.echo, err=json)


def _print(result: Result, table: Callable[[Result], "RenderableType"], json: bool, *, width: int) -> None:
    if json:
        print_json(result)
        return
    from rich.console import Console

    Console(width=width).print(table(result))
