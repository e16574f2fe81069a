"""`smarttrip replay`: make logged searches again on two sides, and compare the answers."""

# ruff: noqa: PLC0415 -- imports inside the command keep --help fast.

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.options import JsonOption, existing_file, new_file, number, replay_side, whole_number
from scripts.commands.output import print_json
from scripts.commands.settings import load_command_settings
from scripts.commands.transaction import in_postgres
from scripts.errors import CliError, ExitCode
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.api.preferences import Preferences
    from scripts.replay.comparison import Report
    from scripts.replay.side import Side

SIDE = "an address, a weight set such as summer@1, or an index."


def replay(  # noqa: PLR0913, PLR0917 -- one for each option
    against: Annotated[
        str, typer.Option("--against", parser=replay_side, metavar="SIDE", help=f"Side to compare with: {SIDE}")
    ],
    to: Annotated[str, typer.Option("--to", parser=replay_side, metavar="SIDE", help=f"Side to judge: {SIDE}")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", parser=existing_file, metavar="FILE", help="Take searches: JSON lines of preferences or log rows."
        ),
    ] = None,
    log: Annotated[
        int | None,
        typer.Option("--log", parser=whole_number(1), metavar="N", help="Take the last N searches of the request log."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", parser=new_file, metavar="FILE", help="Write the searches to a file, without persons."),
    ] = None,
    different: Annotated[
        float,
        typer.Option(
            "--different", parser=number(0, 1), metavar="SHARE", help="Share of the searches that may differ."
        ),
    ] = 0.0,
    slower: Annotated[
        float | None,
        typer.Option("--slower", parser=number(0, 1000), metavar="FACTOR", help="How many times the p95 may be."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make searches again on two sides; compare lists, scores, counts and latency.

    Exit code 0: as much the same as the options ask for; 5: more than --different differ; 10: a side left a search
    unanswered; 11: slower than --slower.
    """
    from scripts.replay.searches import write_file

    searches = _load_searches(file, log)
    if save is not None:
        write_file(save, searches)
    report = run_cancellable(_replay(searches, against, to))
    if json:
        print_json({**vars(report), "different": report.different, "slower": report.slower})
    else:
        _print(report)
    code = judge(report, different, slower)
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def judge(report: "Report", different: float, slower: float | None) -> ExitCode:
    if report.by_kind["unanswered"]:
        return ExitCode.UNANSWERED
    if report.different > different:
        return ExitCode.DIFFERS
    return ExitCode.SLOWER if slower is not None and report.slower > slower else ExitCode.DONE


def _load_searches(file: Path | None, log: int | None) -> "list[Preferences]":
    """Return the searches of the file or of the log. Raises: CliError."""
    from scripts.replay.searches import read_file, read_log

    if (file is None) == (log is None):
        raise typer.BadParameter("should be given, or --log, and not both", param_hint="--file")
    searches = read_file(file) if file is not None else in_postgres(lambda connection: read_log(connection, log or 0))
    if not searches:
        raise CliError("There are no searches to make again.")
    return searches


async def _replay(searches: "Sequence[Preferences]", against: str, to: str) -> "Report":
    from scripts.replay.comparison import replay

    async with _open(against) as first, _open(to) as second:
        return await replay(searches, first, second)


def _open(side: str) -> "AbstractAsyncContextManager[Side]":
    from schemas.weight_sets import is_weight_set_reference
    from scripts.replay.address_side import open_address

    if "://" in side:
        return open_address(side)
    from scripts.replay.index_side import open_index, open_weights

    settings = load_command_settings()
    return open_weights(settings, side) if is_weight_set_reference(side) else open_index(settings, side)


def _print(report: "Report") -> None:
    """Print the report as tables."""
    typer.echo(
        f"{report.searches:,} searches, {report.different:.1%} answered differently; "
        f"the beginnings of the lists overlap by {report.overlap:.1%}."
    )
    typer.echo(f"\n{'different':<12}{'searches':>10}")
    for kind, count in report.by_kind.items():
        typer.echo(f"{kind:<12}{count:>10,}")
    typer.echo(f"\n{'p50 ms':>9}{'p95 ms':>9}  side")
    for latency in (report.against, report.to):
        typer.echo(f"{_milliseconds(latency.p50_ms)}{_milliseconds(latency.p95_ms)}  {latency.side}")
    _print_differences(report)


def _milliseconds(value: float | None) -> str:
    return f"{'' if value is None else f'{value:.1f}':>9}"


def _print_differences(report: "Report") -> None:
    if report.differences:
        typer.echo(f"\n{'overlap':>7}{'counts':>16}{'points':>8}  different")
    for each in report.differences:
        counts = " ".join(f"{count:,}" for count in each.counts)
        what = "; ".join([*each.kinds, *filter(None, each.problems)])
        typer.echo(f"{each.overlap:>7.0%}{counts:>16}{each.score_change:>+8g}  {what}: {each.preferences}")
