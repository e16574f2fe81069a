"""`smarttrip check`: compare the servers with what this release needs."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import asyncio

import typer

from core.settings import Settings, load_settings
from scripts.errors import ExitCode


def check() -> None:
    """Compare database, index and servers with what this release needs. Exit code 0: they agree; 1: they differ."""
    from core.logging import configure_logs

    settings = load_settings()
    configure_logs("error")
    differences = asyncio.run(_find_differences(settings))
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(ExitCode.FAILED)
    typer.echo("Database, index and servers are as this release needs them.")


async def _find_differences(settings: Settings) -> list[str]:
    from indexer.preflight.comparison import PARTS

    return [difference for compare in PARTS.values() for difference in await compare(settings)]
