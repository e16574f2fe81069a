"""`smarttrip stack`: Postgres, Valkey and Elasticsearch on this machine."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

import shlex
from pathlib import Path
from typing import Annotated

import typer

from scripts.errors import ExitCode

app = typer.Typer(
    no_args_is_help=True,
    help="Run Postgres, Valkey and Elasticsearch on this machine, each on a free port of the loopback.",
)

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the services' data. Each folder has a stack of its own.", show_default="user's cache"),
]


def _folder(data: Path | None) -> Path:
    from scripts.dev_stack.manager import default_data

    return (data or default_data()).absolute()


@app.command()
def up(data: Data = None) -> None:
    """Start what does not run yet; returns when all three answer."""
    from scripts.dev_stack import manager

    manager.up(_folder(data))
    _report(_folder(data))
    option = "" if data is None else f" --data {shlex.quote(str(data))}"
    typer.echo(f'For this shell: eval "$(smarttrip stack env{option})"', err=True)


@app.command()
def down(data: Data = None) -> None:
    """End the services; their data stays."""
    from scripts.dev_stack import manager

    manager.down(_folder(data))


@app.command()
def status(data: Data = None) -> None:
    """Show which services answer, and where. Exit code 0: all of them; 3: not all."""
    if not _report(_folder(data)):
        raise typer.Exit(ExitCode.NOT_RUNNING)


@app.command()
def env(data: Data = None) -> None:
    """Print `export NAME=value` lines for a shell. Exit code 3 if not all services answer."""
    from scripts.dev_stack import manager

    for name, value in manager.environment(_folder(data)).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _report(data: Path) -> bool:
    from scripts.dev_stack import manager

    states = manager.status(data)
    for state in states:
        answer = "answers" if state.answers else "starting" if state.pid else "down"
        typer.echo(f"{state.service.name:<14} {answer:<9} {state.url or ''}".rstrip())
    return all(state.answers for state in states)
