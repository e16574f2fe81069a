"""`smarttrip check`: compare the servers with what this release needs."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import TYPE_CHECKING

import typer

from scripts.commands.options import JsonOption
from scripts.commands.output import print_json
from scripts.commands.settings import load_command_settings
from scripts.errors import ExitCode
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from core.configuration.settings import Settings


def check(json: JsonOption = False) -> None:
    """Compare database, index and servers with what this release needs. Exit code 0: they agree; 5: they differ."""
    settings = load_command_settings()
    differences = run_cancellable(_find_differences(settings))
    if json:
        print_json({"differences": differences})
    else:
        typer.echo("\n".join(differences) or "Database, index and servers are as this release needs them.")
    if differences:
        raise typer.Exit(ExitCode.DIFFERS)


async def _find_differences(settings: "Settings") -> list[str]:
    from indexer.preflight.comparison import PARTS

    return [difference for compare in PARTS.values() for difference in await compare(settings)]
