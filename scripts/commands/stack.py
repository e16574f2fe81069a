"""`smarttrip stack`: Postgres, Valkey and Elasticsearch on this machine."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.group import FastGroup
from scripts.commands.options import JsonOption, folder, one_of
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
CORE, SPLIT = "core", "split"

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
    topology: Annotated[
        str,
        typer.Option(
            **one_of(lambda: (CORE, SPLIT)),
            metavar="core|split",
            help="split: API processes of one role each, two workers and the gateway, too.",
        ),
    ] = CORE,
    json: JsonOption = False,
) -> None:
    """Start the services that do not run yet, and wait until all of them respond."""
    from scripts.dev_stack import manager, split
    from scripts.dev_stack.elasticsearch.class_cache import start_training

    manager.up(_folder(data), (*manager.SERVICES, *(installed_observers() if observe else ())))
    if topology == SPLIT:
        split.up(_folder(data))
    start_training(die_with_parent=False)
    _report(_folder(data), json)
    option = "" if data is None else f" --data {shlex.quote(str(data))}"
    typer.echo(f'For this shell: eval "$(smarttrip stack env{option})"', err=True)


@app.command()
def down(data: Data = None, json: JsonOption = False) -> None:
    """Stop the services, and the split system on them; their data stays."""
    from scripts.dev_stack import manager, split

    stopped = [*split.down(_folder(data)), *manager.down(_folder(data))]
    if json:
        print_json({"stopped": stopped})
    elif stopped:
        typer.echo(f"Stopped: {', '.join(stopped)}.")
    else:
        typer.echo(f"Nothing of a stack runs in {_folder(data)}.")


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


def installed_observers() -> "list[Service]":
    """Return the observers that the machine has the programs of; print a sentence for each that is missing."""
    from scripts.dev_stack import manager

    return [service for service in manager.OBSERVERS if _is_installed(service)]


def _is_installed(service: "Service") -> bool:
    """Return whether the machine has the service's program; print a sentence if not."""
    if service.is_installed():
        return True
    names = " or ".join(service.program)
    typer.echo(f"{service.name} is left out: there is no program {names} on the PATH. On Debian: {INSTALL}.", err=True)
    return False


def _report(data: Path, json: bool) -> bool:
    """Print the state of each service; return whether all respond."""
    from scripts.dev_stack import manager, split
    from scripts.dev_stack.passwords import hide_password

    states = manager.status(data)
    rows = [(state.service.name, _health(state), hide_password(state.url)) for state in states]
    rows += [(name, "answers" if url else "down", url) for name, url in split.status(data).items()]
    if json:
        print_json([{"service": name, "state": state, "url": url} for name, state, url in rows])
    else:
        for name, state, url in rows:
            typer.echo(f"{name:<17} {state:<9} {url or ''}".rstrip())
    return all(state == "answers" for _, state, _ in rows)


def _health(state: "ServiceState") -> str:
    return "answers" if state.responds else "starting" if state.pid else "down"
