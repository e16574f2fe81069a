"""`smarttrip user`: export and erase the personal data of one person."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import asyncio
from typing import Annotated

import typer

from core.settings import Settings, load_settings
from scripts.errors import CliError, ExitCode

app = typer.Typer(no_args_is_help=True, help="Export or erase the personal data of one person.")

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's e-mail address, in any case.")]


@app.command()
def export(email: EmailArgument) -> None:
    """Print all data stored about a person as JSON. Exit code 1: nothing is stored."""
    import orjson

    from tracking.privacy.export import export_user

    stored = asyncio.run(export_user(_settings(), _normalize(email)))
    if stored is None:
        raise CliError("Nothing is stored about this address.")
    typer.echo(orjson.dumps(stored, default=str, option=orjson.OPT_INDENT_2).decode())


@app.command()
def erase(
    email: EmailArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a person's users, sessions and events, and make their searches anonymous.

    Succeeds, too, if nothing is stored.
    """
    from tracking.privacy.erase import erase_user

    settings, email = _settings(), _normalize(email)
    if not yes:
        typer.confirm("This can't be undone. Erase?", abort=True)
    erased = asyncio.run(erase_user(settings, email))
    if not erased:
        typer.echo("Nothing is stored about this address.")
    for table, rows in erased.items():
        typer.echo(f"{rows:>7,}  {table}")


def _normalize(email: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from schemas.api.tracking import Email

    try:
        address: str = TypeAdapter(Email).validate_python(email)
    except ValidationError:
        raise CliError("EMAIL should be an e-mail address.", ExitCode.USAGE) from None
    return address


def _settings() -> Settings:
    """Load the settings, and log to standard error what is done with personal data."""
    from core.logging import configure_logs

    settings = load_settings()
    configure_logs("info")
    return settings
