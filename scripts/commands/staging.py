"""`smarttrip staging`: an installation like production beside it, with data without persons."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.anonymise import PercentOption
from scripts.commands.confirmation import confirm
from scripts.commands.group import FastGroup
from scripts.commands.options import JsonOption, setting, staging_name
from scripts.commands.output import print_json
from scripts.commands.settings import load_command_settings
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from core.configuration.settings import Settings

app = typer.Typer(
    cls=FastGroup, no_args_is_help=True, help="Create and drop an installation like production, without its persons."
)

NameOption = Annotated[
    str,
    typer.Option(
        "--name", parser=staging_name, metavar="NAME", help="Beginning or end of all names of the installation."
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        parser=setting("database_url"),
        metavar="URL",
        help="Database that is created; else one on production's server, with its name and NAME.",
    ),
]
RedisOption = Annotated[
    str | None, typer.Option(parser=setting("redis_url"), metavar="URL", help="Redis; else production's.")
]
ElasticsearchOption = Annotated[
    str | None,
    typer.Option(parser=setting("elasticsearch_url"), metavar="URL", help="Elasticsearch; else production's."),
]


@app.command()
def create(  # noqa: PLR0913, PLR0917 -- one for each option
    name: NameOption = "staging",
    percent: PercentOption = 100,
    database_url: DatabaseOption = None,
    redis_url: RedisOption = None,
    elasticsearch_url: ElasticsearchOption = None,
    json: JsonOption = False,
) -> None:
    """Create database, anonymised copy and index; print the settings as `export NAME=value` lines, with passwords."""
    from scripts.staging.installation import create, variables

    production, staging = _settings(name, database_url, redis_url, elasticsearch_url)
    run_cancellable(create(production, staging, percent, _announce))
    if json:
        print_json(variables(staging))
        return
    for variable, value in variables(staging).items():
        typer.echo(f"export {variable}={shlex.quote(value)}")


@app.command()
def drop(  # noqa: PLR0913, PLR0917 -- one for each option
    name: NameOption = "staging",
    database_url: DatabaseOption = None,
    redis_url: RedisOption = None,
    elasticsearch_url: ElasticsearchOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete what `create` with the same options has made: indexes, keys and database."""
    from scripts.staging.installation import drop
    from scripts.staging.own_database import database_name

    _, staging = _settings(name, database_url, redis_url, elasticsearch_url)
    if not yes:
        confirm(f"This deletes the database {database_name(staging.database_url)}. Drop?", "Nothing was removed.")
    dropped = run_cancellable(drop(staging, _announce))
    if json:
        print_json(dropped)


def _settings(
    name: str, database_url: str | None, redis_url: str | None, elasticsearch_url: str | None
) -> "tuple[Settings, Settings]":
    """Return the settings of production, which are those of this shell, and of staging."""
    from scripts.staging.installation import staging_settings

    production = load_command_settings()
    servers = {"database_url": database_url, "redis_url": redis_url, "elasticsearch_url": elasticsearch_url}
    return production, staging_settings(production, name, **servers)


def _announce(line: str) -> None:
    """Print progress apart from the settings, which a shell reads."""
    typer.echo(line, err=True)
