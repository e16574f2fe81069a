"""`smarttrip migrate` and `smarttrip seed`: commands that work on Postgres."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.options import INT8, JsonOption, whole_number
from scripts.commands.output import print_counts, print_json
from scripts.commands.settings import load_command_settings
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from core.configuration.settings import Settings


def migrate(json: JsonOption = False) -> None:
    """Migrate the database: adopt the platform's tables or create them, and add our own tables and triggers."""
    import migrations
    from indexer.preflight.comparison import compare_database

    settings = _checked_settings()
    migrations.upgrade(settings.direct_url)
    differences = run_cancellable(compare_database(settings))
    if json:
        print_json({"up_to_date": True, "differences": differences})
    elif differences:
        typer.echo("All revisions are applied, but the database differs from what this release needs:")
        typer.echo("\n".join(differences))
    else:
        typer.echo("The database is up to date.")


def seed(
    occurrences: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="Number of departures to create.")
    ] = 5000,
    seed: Annotated[
        int,
        typer.Option(
            parser=whole_number(0, INT8 - 1),
            metavar="N",
            help="Random seed: the same number gives the same catalogue.",
        ),
    ] = 1,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Do nothing if there are departures already.")] = False,
    json: JsonOption = False,
) -> None:
    """Load sample data into an empty catalogue."""
    from core.business_date import business_date_provider
    from scripts import sample_data

    settings = _checked_settings()
    if if_empty and run_cancellable(sample_data.has_departures(settings.direct_url)):
        print_counts({}, json, none="There are departures already.")
        return
    today = business_date_provider(settings)()
    print_counts(run_cancellable(sample_data.seed(settings.direct_url, occurrences, seed, today=today)), json)


def _checked_settings() -> "Settings":
    """Load the settings. Raises: DirectUrlMismatchError, if what is written would not be where it is read."""
    from indexer.index.direct_url import check_same_database_if_reachable

    settings = load_command_settings()
    run_cancellable(check_same_database_if_reachable(settings))
    return settings
