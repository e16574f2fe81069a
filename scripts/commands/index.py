"""`smarttrip reindex`, `verify`, `rollback` and `adopt`: commands that work on the index."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.options import JsonOption
from scripts.commands.output import print_json
from scripts.commands.settings import load_command_settings
from scripts.errors import ExitCode
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from core.configuration.settings import Settings
    from indexer.rebuild.progress import Progress
    from indexer.rebuild.verify import VerifyResult

SECONDS_BETWEEN_LINES = 2
MAX_LISTED = 20


def reindex(json: JsonOption = False) -> None:
    """Build a new index from Postgres, compare it with Postgres, and switch searches to it."""
    import uvloop

    from core.gc_tuning import tune_gc
    from indexer.rebuild.reindex import reindex

    settings = _own_settings()
    tune_gc()
    with progress_display(silent=json) as show:
        report = run_cancellable(reindex(settings, show), uvloop.new_event_loop)
    if json:
        print_json(report)
        return
    typer.echo(f"{report.name} is in use: {report.documents:,} departures in {report.seconds:.1f} s.")
    _print_rejected(report.refused)


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Have the worker index again what differs.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare the index with Postgres, field by field. Exit code 0: they agree; 5: they differ."""
    from indexer.rebuild.verify import verify

    report = run_cancellable(verify(_own_settings(), repair))
    if json:
        print_json(report)
    else:
        _print_verification(report)
    if not report.in_sync:
        raise typer.Exit(ExitCode.DIFFERS)


def _print_verification(report: "VerifyResult") -> None:
    typer.echo(f"{report.checked:,} departures compared in {report.seconds:.1f} s: {report.drifted:,} differ.")
    if report.lagging:
        typer.echo(f"{report.lagging:,} differ only because their change is still on its way.")
    for difference in report.differences[:MAX_LISTED]:
        typer.echo(f"  {difference}")
    _print_rejected(report.refused)


def rollback(json: JsonOption = False) -> None:
    """Switch searches back to the index before the last reindex, which is kept up to date for INDEX_KEEP_HOURS."""
    from indexer.rebuild.rollback import rollback

    name = run_cancellable(rollback(_own_settings()))
    if json:
        print_json({"name": name})
    else:
        typer.echo(f"{name} is in use again.")


def adopt(json: JsonOption = False) -> None:
    """Make the keys in Redis and the indexes with these names this installation's, where the one before is gone."""
    from indexer.index.ownership import adopt

    indexes = run_cancellable(adopt(load_command_settings()))
    if json:
        print_json({"indexes": indexes})
        return
    typer.echo("The keys in Redis and the indexes belong to this installation.")


def _own_settings() -> "Settings":
    """Load the settings.

    Raises: DirectUrlMismatchError; IndexOwnedError or RedisOwnedError, if another installation has these names.
    """
    from indexer.index.direct_url import check_same_database_if_reachable
    from indexer.index.ownership import check_installation

    settings = load_command_settings()
    run_cancellable(check_same_database_if_reachable(settings))
    run_cancellable(check_installation(settings))
    return settings


def _print_rejected(rejected: dict[int, str]) -> None:
    for departure, reason in list(rejected.items())[:MAX_LISTED]:
        typer.echo(f"  departure {departure} cannot be shown: {reason}")


@contextmanager
def progress_display(*, silent: bool = False) -> Iterator[Callable[["Progress"], None]]:
    """Show progress, unless `silent`: a bar in a terminal, elsewhere a line every SECONDS_BETWEEN_LINES."""
    if silent:
        yield lambda at: None
        return
    if not sys.stdout.isatty():
        with _printed_lines() as show:
            yield show
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.fields[rate]}"), TextColumn("left:"), TimeRemainingColumn())
    with Progress(TextColumn("Index"), BarColumn(), MofNCompleteColumn(), *columns) as bar:
        task = bar.add_task("index", total=None, rate="")
        yield lambda at: bar.update(task, total=at.total, completed=at.done, rate=f"{at.rate:,.0f}/s")


@contextmanager
def _printed_lines() -> Iterator[Callable[["Progress"], None]]:
    """Print lines by a thread: a pipe that nobody reads must neither hold up a rebuild nor end it."""
    from core.logs.writer import LogWriter

    writer, last_printed = LogWriter(sys.stdout.fileno()), 0.0

    def show(at: "Progress") -> None:
        nonlocal last_printed
        if at.seconds - last_printed >= SECONDS_BETWEEN_LINES or at.done == at.total:
            last_printed = at.seconds
            writer.write(f"{at.done:,} of {at.total:,} departures, {at.rate:,.0f} a second")

    try:
        yield show
    finally:
        writer.flush()
