"""`smarttrip user`: export and erase the personal data of one person."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.group import FastGroup
from scripts.commands.options import JsonOption, email
from scripts.commands.output import print_json
from scripts.errors import CliError, ExitCode

if TYPE_CHECKING:
    from core.settings import Settings

app = typer.Typer(cls=FastGroup, no_args_is_help=True, help="Export or erase the personal data of one person.")

EmailArgument = Annotated[
    str, typer.Argument(metavar="EMAIL", parser=email, help="The person's e-mail address, in any case.")
]


@app.command()
def export(email: EmailArgument) -> None:
    """Print all data stored about a person as JSON. Exit code 8: nothing is stored."""
    from tracking.privacy.export import export_user

    stored = asyncio.run(export_user(_settings(), email))
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

    settings = _settings()
    if not yes and not typer.confirm("This can't be undone. Erase?", err=True):
        raise CliError("Nothing was erased.")
    erased = asyncio.run(erase_user(settings, email))
    if json:
        print_json(erased)
        return
    if not erased:
        typer.echo("Nothing is stored about this address.")
    for table, rows in erased.items():
        typer.echo(f"{rows:>7,}  {table}")


def _settings() -> "Settings":
    """Load the settings, and log to standard error what is done with personal data.

    Raises: RedisOwnedError, if the data in Redis is another installation's.
    """
    from core.logging import configure_logs
    from core.settings import load_settings
    from indexer.index.installation import check_redis

    settings = load_settings()
    configure_logs("info")
    asyncio.run(check_redis(settings))
    return settings
