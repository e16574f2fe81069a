"""`smarttrip drill`: faults of every part, on a system of its own."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from collections.abc import Iterable
from typing import Annotated

import typer

from scripts.commands.options import JsonOption, one_of, whole_number
from scripts.commands.output import print_json
from scripts.commands.settings import keep_logs_apart
from scripts.errors import CliError, ExitCode
from scripts.interrupts import run_cancellable


def _faults() -> Iterable[str]:
    from scripts.drill.faults import FAULTS

    return FAULTS


def drill(
    fault: Annotated[
        list[str] | None,
        typer.Option(**one_of(_faults), metavar="NAME", help="Cause this fault only; may be repeated."),
    ] = None,
    departures: Annotated[
        int, typer.Option(parser=whole_number(100, 100_000), metavar="COUNT", help="Departures of the catalogue.")
    ] = 10_000,
    json: JsonOption = False,
) -> None:
    """Start the split system with three Elasticsearch nodes, a standby and Sentinels, and break part after part.

    Searches, events and changes of prices go on meanwhile. It takes up to a quarter of an hour, needs nginx, and leaves
    nothing behind. Exit code 1: a request failed, a response was wrong, an event or a change was lost, or the index
    differs.
    """
    from scripts.drill.faults import FAULTS
    from scripts.drill.report import HEAD, outcome, row, summary
    from scripts.drill.run import run_drill

    keep_logs_apart()
    typer.echo(HEAD, err=json)
    faults = fault or list(FAULTS)
    result = run_cancellable(run_drill(faults, departures, lambda found: typer.echo(row(found), err=json)))
    typer.echo(summary(result), err=json)
    if json:
        print_json(result.as_json())
    if not result.passed:
        raise CliError(
            f"The drill failed: {sum(not found.passed for found in result.faults)} faults were noticed,"
            f" {outcome(result)}.",
            ExitCode.FAILED,
        )
