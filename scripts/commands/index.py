"""Commands that work on the index."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from core.settings import Settings, load_settings
from scripts.errors import ExitCode

if TYPE_CHECKING:
    from indexer.rebuild.progress import Progress

SECONDS_BETWEEN_LINES = 2
LISTED = 20


def reindex() -> None:
    """Build a new index beside the one in use, compare it with Postgres, and put it in use."""
    import uvloop

    from core.gc_tuning import tune_gc
    from indexer.rebuild.reindex import reindex

    settings = _settings()
    tune_gc()
    with shown_progress() as show:
        report = uvloop.run(reindex(settings, show))
    typer.echo(f"{report.name} is in use: {report.documents:,} departures in {report.seconds:.1f} s.")
    _tell_refused(report.refused)


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Have the worker read again what differs.")] = False,
) -> None:
    """Compare the index with Postgres, field by field. Exit code 0: they agree; 1: they differ."""
    from indexer.rebuild.verify import verify

    report = asyncio.run(verify(_settings(), repair))
    typer.echo(f"{report.checked:,} departures compared in {report.seconds:.1f} s: {report.drifted:,} differ.")
    if report.lagging:
        typer.echo(f"{report.lagging:,} differ only because their change is still on its way.")
    for difference in report.differences[:LISTED]:
        typer.echo(f"  {difference}")
    _tell_refused(report.refused)
    if not report.in_sync:
        raise typer.Exit(ExitCode.FAILED)


def rollback() -> None:
    """Put the index in use that was in use before the last reindex; it has been kept up to date."""
    from indexer.rebuild.rollback import rollback

    typer.echo(f"{asyncio.run(rollback(_settings()))} is in use again.")


def _settings() -> Settings:
    """What the person should know is said by the command itself, not by its log."""
    from core.logging import configure_logs

    settings = load_settings()
    configure_logs("error")
    return settings


def _tell_refused(refused: dict[int, str]) -> None:
    for departure, reason in list(refused.items())[:LISTED]:
        typer.echo(f"  departure {departure} cannot be shown: {reason}")


@contextmanager
def shown_progress() -> Iterator[Callable[["Progress"], None]]:
    """A bar in a terminal, a line every few seconds elsewhere."""
    if not sys.stdout.isatty():
        yield _line_now_and_then()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.fields[rate]}"), TextColumn("left:"), TimeRemainingColumn())
    with Progress(TextColumn("Index"), BarColumn(), MofNCompleteColumn(), *columns) as bar:
        task = bar.add_task("index", total=None, rate="")
        yield lambda at: bar.update(task, total=at.total, completed=at.done, rate=f"{at.rate:,.0f}/s")


def _line_now_and_then() -> Callable[["Progress"], None]:
    told = 0.0

    def show(at: "Progress") -> None:
        nonlocal told
        if at.seconds - told >= SECONDS_BETWEEN_LINES or at.done == at.total:
            told = at.seconds
            typer.echo(f"{at.done:,} of {at.total:,} departures, {at.rate:,.0f} a second")

    return show
