"""`smarttrip check`: compare database and index with what this release needs."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import asyncio

import typer

from core.settings import Settings, load_settings
from scripts.errors import ExitCode


def check() -> None:
    """Compare database and index with what this release needs. Exit code 0: they agree; 1: they differ."""
    from core.logging import configure_logs

    settings = load_settings()
    configure_logs("error")
    differences = asyncio.run(_find_differences(settings))
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(ExitCode.FAILED)
    typer.echo("Database and index are as this release needs them.")


async def _find_differences(settings: Settings) -> list[str]:
    return [*await find_database_differences(settings), *await _find_index_differences(settings)]


async def find_database_differences(settings: Settings) -> list[str]:
    from sqlalchemy.pool import NullPool

    from core import clients
    from migrations.inspection import find_differences

    engine = clients.postgres_engine(
        settings.database_url,
        connect_timeout=settings.postgres_connect_seconds,
        command_timeout=settings.background_statement_seconds,
        poolclass=NullPool,
    )
    async with engine.connect() as connection:
        return await connection.run_sync(find_differences)


async def _find_index_differences(settings: Settings) -> list[str]:
    from indexer.backends import open_backends
    from indexer.index import admin, conformance
    from schemas.document_fields import MAPPING

    async with open_backends(settings) as backends:
        name = await admin.live_index(backends.elasticsearch, backends.alias)
        if name is None:
            return ["There is no index yet; the worker builds it."]
        asked = {"mappings": MAPPING}
        deviations = await conformance.find_deviations(backends.elasticsearch, name, asked)
    return [f"In the index {name}, {deviation}." for deviation in deviations]
