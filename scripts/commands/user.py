"""`smarttrip user`: what is stored about a person, for those who may ask for it."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

import asyncio
from typing import Annotated

import typer

from core.settings import Settings, load_settings
from scripts.errors import CliError, ExitCode

app = typer.Typer(no_args_is_help=True, help="What is stored about a person.")

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's e-mail address, in any case.")]


@app.command()
def export(email: Address) -> None:
    """Write all that is stored about a person to standard output, as JSON. Exit code 1: nothing is."""
    import orjson

    from tracking.privacy.export import export_user

    stored = asyncio.run(export_user(_settings(), _lower(email)))
    if stored is None:
        raise CliError("Nothing is stored about this address.")
    typer.echo(orjson.dumps(stored, default=str, option=orjson.OPT_INDENT_2).decode())


@app.command()
def erase(
    email: Address,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Forget a person: delete their users, sessions and events. Their searches are still counted, as nobody's.

    To be forgotten already is no failure.
    """
    from tracking.privacy.erase import erase_user

    settings, email = _settings(), _lower(email)
    if not yes:
        typer.confirm("This can't be undone. Erase?", abort=True)
    erased = asyncio.run(erase_user(settings, email))
    if not erased:
        typer.echo("Nothing is stored about this address.")
    for table, rows in erased.items():
        typer.echo(f"{rows:>7,}  {table}")


def _lower(email: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from schemas.api.tracking import Email

    try:
        address: str = TypeAdapter(Email).validate_python(email)
    except ValidationError:
        raise CliError("EMAIL should be an e-mail address.", ExitCode.USAGE) from None
    return address


def _settings() -> Settings:
    """What is done with personal data stands in the log, on standard error."""
    from core.logging import configure_logs

    settings = load_settings()
    configure_logs("info")
    return settings
