"""`smarttrip stack`: Postgres, Valkey and Elasticsearch on this machine."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.group import FastGroup
from scripts.commands.options import JsonOption, folder
from scripts.commands.output import print_json
from scripts.errors import ExitCode

if TYPE_CHECKING:
    from scripts.dev_stack.manager import ServiceState
    from scripts.dev_stack.service import Service

app = typer.Typer(
    cls=FastGroup,
    no_args_is_help=True,
    help="Run Postgres, Valkey and Elasticsearch on this machine, each on a free port of the loopback interface.",
)

INSTALL = "apt-get install prometheus prometheus-alertmanager"

Data = Annotated[
    Path | None,
    typer.Option(
        parser=folder,
        metavar="FOLDER",
        help="Data folder of the services. Each folder has services of its own.",
        show_default="user's cache",
    ),
]


def _folder(data: Path | None) -> Path:
    from scripts.dev_stack.manager import default_data

    return (data or default_data()).absolute()


@app.command()
def up(
    data: Data = None,
    observe: Annotated[bool, typer.Option("--observe", help="Start Prometheus and Alertmanager, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Start the services that do not run yet, and wait until all of them respond."""
    from scripts.dev_stack import manager

    observers = [service for service in manager.OBSERVERS if observe and _is_installed(service)]
    manager.up(_folder(data), (*manager.SERVICES, *observers))
    _report(_folder(data), json)
    option = "" if data is None else f" --data {shlex.quote(str(data))}"
    typer.echo(f'For this shell: eval "$(smarttrip stack env{option})"', err=True)


@app.command()
def down(data: Data = None) -> None:
    """Stop the services; their data stays."""
    from scripts.dev_stack import manager

    manager.down(_folder(data))


@app.command()
def status(data: Data = None, json: JsonOption = False) -> None:
    """Show which services respond, and their URLs without passwords. Exit code 0: all respond; 3: not all."""
    if not _report(_folder(data), json):
        raise typer.Exit(ExitCode.NOT_RUNNING)


@app.command()
def env(data: Data = None, json: JsonOption = False) -> None:
    """Print `export NAME=value` lines for a shell, with passwords. Exit code 3: not all services respond."""
    from scripts.dev_stack import manager

    variables = manager.environment(_folder(data))
    if json:
        print_json(variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _is_installed(service: "Service") -> bool:
    """Return whether the machine has the service's program; print a sentence if not."""
    if service.is_installed():
        return True
    names = " or ".join(service.program)
    typer.echo(f"{service.name} is left out: there is no program {names} on the PATH. On Debian: {INSTALL}.", err=True)
    return False


def _report(data: Path, json: bool) -> bool:
    """Print the state of each service; return whether all respond."""
    from scripts.dev_stack import manager
    from scripts.dev_stack.passwords import hide_password

    states = manager.status(data)
    if json:
        print_json(
            [
                {"service": state.service.name, "state": _health(state), "url": hide_password(state.url)}
                for state in states
            ]
        )
    else:
        for state in states:
            typer.echo(f"{state.service.name:<14} {_health(state):<9} {hide_password(state.url) or ''}".rstrip())
    return all(state.responds for state in states)


def _health(state: "ServiceState") -> str:
    return "answers" if state.responds else "starting" if state.pid else "down"
