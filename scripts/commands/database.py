"""Commands that work on Postgres."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

from typing import Annotated

import typer

from schemas.settings import load_settings


def migrate() -> None:
    """Bring the database up to date: adopt the platform's tables, or make them where there are none; add ours."""
    import migrations

    migrations.upgrade(load_settings().direct_url)
    typer.echo("The database is up to date.")


def seed(
    occurrences: Annotated[int, typer.Option(min=1, help="How many departures to make.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same number makes the same catalogue.")] = 1,
) -> None:
    """Fill an empty catalogue with sample data that looks like the platform's."""
    from scripts import sample

    counts = sample.seed(load_settings().direct_url, occurrences, seed)
    for table, count in counts.items():
        typer.echo(f"{count:>9,}  {table}")
