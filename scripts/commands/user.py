"""`smarttrip user`: export and erase the personal data of one person."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from scripts.commands.confirmation import confirm
from scripts.commands.group import FastGroup
from scripts.commands.options import JsonOption, email
from scripts.commands.output import print_json
from scripts.commands.settings import load_command_settings
from scripts.errors import CliError, ExitCode
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from core.configuration.settings import Settings

app = typer.Typer(cls=FastGroup, no_args_is_help=True, help="Export or erase the personal data of one person.")

Result = TypeVar("Result")
EmailArgument = Annotated[
    str, typer.Argument(metavar="EMAIL", parser=email, help="The person's e-mail address, in any case.")
]


@app.command()
def export(email: EmailArgument) -> None:
    """Print all data stored about a person as JSON. Exit code 8: nothing is stored."""
    from tracking.privacy.export import export_user

    stored = run_cancellable(_with_own_keys(export_user, load_command_settings("info"), email))
    if stored is None:
        raise CliError("Nothing is stored about this address.", ExitCode.NOTHING_STORED)
    print_json(stored)


@app.command()
def erase(
    email: EmailArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete a person's users, sessions and events, and make their searches anonymous.

    Succeeds, too, if nothing is stored.
    """
    from tracking.privacy.erase import erase_user

    settings = load_command_settings("info")
    if not yes:
        confirm("This can't be undone. Erase?", "Nothing was erased.")
    erased = run_cancellable(_with_own_keys(erase_user, settings, email))
    if json:
        print_json(erased)
        return
    if not erased:
        typer.echo("Nothing is stored about this address.")
    for table, rows in erased.items():
        typer.echo(f"{rows:>7,}  {table}")


async def _with_own_keys(
    action: Callable[["Settings", str], Awaitable[Result]], settings: "Settings", email: str
) -> Result:
    """Do what is asked for, unless the data in Redis is another installation's. Raises: RedisOwnedError."""
    from indexer.index.ownership import check_redis

    await check_redis(settings)
    return await action(settings, email)
