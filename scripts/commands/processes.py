"""`smarttrip serve` and `smarttrip worker`: the two long-running processes."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import Annotated

import typer

from core.settings import Settings, load_settings
from scripts.errors import port_taken
from scripts.ports import is_free


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="HOST, else 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="PORT, else 5000")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes.", show_default="WORKERS, else 1")] = None,
) -> None:
    """Start the API: serve HTTP until SIGTERM or Ctrl-C."""
    from app.server import run
    from app.server.sockets import PortInUse
    from core.logging import configure_logs

    options = {"host": host, "port": port, "workers": workers}
    settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    if not is_free(settings.port, settings.host):
        raise port_taken(settings.port)
    configure_logs(settings.log_level)
    _check_start(settings)
    try:
        run.serve(settings)
    except PortInUse:
        raise port_taken(settings.port) from None


def worker() -> None:
    """Start the worker: apply changes from Postgres to the index, and run scheduled jobs, until SIGTERM or Ctrl-C."""
    from core.logging import configure_logs
    from indexer import worker

    settings = load_settings()
    if settings.worker_port is not None and not is_free(settings.worker_port, settings.host):
        raise port_taken(settings.worker_port)
    configure_logs(settings.log_level)
    _check_start(settings)
    worker.run(settings)


def _check_start(settings: Settings) -> None:
    """Raise MigrationError or IndexerError where the database cannot be used; log other differences.

    A database that is down is no obstacle.
    """
    import asyncio

    asyncio.run(_check_database(settings))


async def _check_database(settings: Settings) -> None:
    from indexer.index.direct_url import check_same_database_if_reachable
    from migrations.revision import check_revision

    await check_same_database_if_reachable(settings)
    await check_revision(settings.database_url, connect_seconds=settings.postgres_connect_seconds)
    await _log_differences(settings)


async def _log_differences(settings: Settings) -> None:
    import structlog
    from asyncpg import PostgresError
    from sqlalchemy.exc import DBAPIError

    from scripts.commands.check import find_database_differences

    log = structlog.get_logger()
    try:
        differences = await find_database_differences(settings)
    except (DBAPIError, PostgresError, OSError) as error:
        log.warning("database_not_compared", error=type(error).__name__)
        return
    for difference in differences:
        log.warning("database_differs", difference=difference)
