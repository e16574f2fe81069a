"""`smarttrip migrate` and `smarttrip seed`: commands that work on Postgres."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import asyncio
from typing import Annotated

import typer

from core.settings import Settings, load_settings


def migrate() -> None:
    """Migrate the database: adopt the platform's tables or create them, and add our own tables and triggers."""
    import migrations

    migrations.upgrade(_checked_settings().direct_url)
    typer.echo("The database is up to date.")


def seed(
    occurrences: Annotated[int, typer.Option(min=1, help="Number of departures to create.")] = 5000,
    seed: Annotated[int, typer.Option(help="Random seed: the same number gives the same catalogue.")] = 1,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Do nothing if there are departures already.")] = False,
) -> None:
    """Load sample data into an empty catalogue."""
    from core.business_date import business_date_provider
    from scripts import sample_data

    settings = _checked_settings()
    if if_empty and asyncio.run(_has_departures(settings.direct_url)):
        typer.echo("There are departures already.")
        return
    today = business_date_provider(settings)()
    for table, count in asyncio.run(sample_data.seed(settings.direct_url, occurrences, seed, today=today)).items():
        typer.echo(f"{count:>9,}  {table}")


def _checked_settings() -> Settings:
    """Load the settings. Raises: DirectUrlMismatchError, if what is written would not be where it is read."""
    from indexer.index.direct_url import check_same_database_if_reachable

    settings = load_settings()
    asyncio.run(check_same_database_if_reachable(settings))
    return settings


async def _has_departures(url: str) -> bool:
    from sqlalchemy import exists, select

    from core import clients
    from schemas.tables import TripOccurrence

    engine = clients.postgres(url)
    try:
        async with engine.connect() as connection:
            return bool(await connection.scalar(select(exists().select_from(TripOccurrence))))
    finally:
        await engine.dispose()
