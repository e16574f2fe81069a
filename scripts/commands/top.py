"""`smarttrip top`: a page, refreshed, of what an installation does now."""

# ruff: noqa: PLC0415 -- imports inside the command keep --help fast.

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scripts.commands.options import address, seconds
from scripts.errors import CliError, ExitCode

if TYPE_CHECKING:
    from scripts.top.scrape import Scrape

DEFAULT = ["http://127.0.0.1:5000", "http://127.0.0.1:5001"]


def top(
    addresses: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            parser=address,
            metavar="URL",
            help="Address of an API process or a worker; may be repeated.",
            show_default="ports 5000 and 5001 of this machine",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option(parser=seconds(1), metavar="SECONDS", help="Seconds between two readings of the metrics.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show one page and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each reading.")] = False,
) -> None:
    """Show rates, percentiles, caches, lag, queues and circuit breakers, from the metrics of the processes."""
    summaries = _summaries(addresses or DEFAULT, interval)
    if as_json:
        for summary in summaries:
            typer.echo(json.dumps(summary))
            if once:
                return
    _show(summaries, once=once)


def _show(summaries: "Iterator[dict[str, Any]]", *, once: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from scripts.top.page import render

    console = Console()
    if once:
        console.print(render(next(summaries)))
        return
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        for summary in summaries:
            live.update(render(summary), refresh=True)


def _summaries(addresses: list[str], pause: float) -> "Iterator[dict[str, Any]]":
    """Yield a summary after each interval. Raises CliError if no process can be read."""
    from scripts.top.summary import Interval, summarise

    before = _scrape(addresses)
    while True:
        time.sleep(pause)
        now = _scrape(addresses)
        yield summarise(Interval(before, now))
        before = now


def _scrape(addresses: list[str]) -> "Scrape":
    from scripts.top.scrape import scrape

    found = scrape(addresses)
    if len(found.failures) == len(addresses):
        reasons = "; ".join(f"{address}: {reason}" for address, reason in found.failures.items())
        raise CliError(f"No process can be read: {reasons}.", ExitCode.NOT_RUNNING)
    return found
