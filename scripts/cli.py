"""The `smarttrip` command: registers the commands and turns expected errors into a sentence and an exit code."""

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from scripts.commands import (
    anonymise,
    bench,
    check,
    completion,
    database,
    demo,
    drill,
    index,
    processes,
    replay,
    rollout,
    size,
    stack,
    staging,
    top,
    user,
    weights,
)
from scripts.commands.group import FastGroup
from scripts.errors import ExitCode
from scripts.interrupts import announced_interrupts
from scripts.standard_streams import drop_unwritten, open_standard_streams, output_error, print_error

EXIT_CODES = "Exit codes: " + "; ".join(f"{code} {code.meaning}" for code in ExitCode) + "."

app = typer.Typer(
    cls=FastGroup,
    no_args_is_help=True,
    # Its options would load pydantic for every --help; a shell that completes does not see them.
    add_completion=completion.VARIABLE in os.environ,
    pretty_exceptions_enable=False,
    # Its tables take longer than all else that --help does.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
app.add_typer(stack.app, name="stack")
app.add_typer(user.app, name="user")
app.add_typer(weights.app, name="weights")
app.add_typer(rollout.app, name="rollout")
app.add_typer(staging.app, name="staging")
app.add_typer(bench.app, name="bench")
app.command()(database.migrate)
app.command()(database.seed)
app.command()(anonymise.anonymise)
app.command()(check.check)
app.command()(index.reindex)
app.command()(index.verify)
app.command()(index.rollback)
app.command()(index.adopt)
app.command()(processes.serve)
app.command()(processes.worker)
app.command()(top.top)
app.command()(replay.replay)
app.command()(size.size)
app.command()(demo.demo)
app.command()(drill.drill)
app.command()(completion.completion)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"smarttrip {version('smarttrip')}")
        raise typer.Exit


@app.callback()
def smarttrip(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Trip recommendations from an Elasticsearch index that follows Postgres. Settings come from the environment."""


def main() -> None:
    open_standard_streams()
    with announced_interrupts():
        code = _run()
    failure = output_error()
    if failure is not None:
        code = ExitCode.FAILED
        # A reader that has ended, such as `head`, has what it wants.
        if not isinstance(failure, BrokenPipeError):
            print_error(f"Standard output cannot be written: {failure.strerror}.")
    drop_unwritten()
    sys.exit(code)


def _run() -> int:
    """Run the command of the command line; return its exit code."""
    try:
        code = app(prog_name="smarttrip", standalone_mode=False)
    except TyperException as error:
        return _end_with_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except Exception as error:
        if output_error() is not None:
            return ExitCode.FAILED
        from scripts.commands.errors import describe_error  # noqa: PLC0415

        expected = describe_error(error)
        if expected is None:
            raise
        print_error(expected.sentence)
        return expected.code
    return code or ExitCode.DONE


def _end_with_usage(error: TyperException) -> int:
    from scripts.commands.usage import describe_usage  # noqa: PLC0415

    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.message)
    else:
        print_error(describe_usage(error))
    return ExitCode.USAGE
