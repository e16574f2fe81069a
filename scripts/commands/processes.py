"""`smarttrip serve` and `smarttrip worker`: the two long-running processes."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import asyncio
from typing import Annotated

import typer

from core.settings import load_settings
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
    from indexer.preflight.start import log_differences, refuse_unusable

    options = {"host": host, "port": port, "workers": workers}
    settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    if not is_free(settings.port, settings.host):
        raise port_taken(settings.port)
    configure_logs(settings.log_level)
    asyncio.run(refuse_unusable(settings))
    asyncio.run(log_differences(settings))
    try:
        run.serve(settings)
    except PortInUse:
        raise port_taken(settings.port) from None


def worker() -> None:
    """Start the worker: apply changes from Postgres to the index, and run scheduled jobs, until SIGTERM or Ctrl-C."""
    from core.logging import configure_logs
    from indexer import worker
    from indexer.preflight.start import refuse_unusable

    settings = load_settings()
    if settings.worker_port is not None and not is_free(settings.worker_port, settings.host):
        raise port_taken(settings.worker_port)
    configure_logs(settings.log_level)
    asyncio.run(refuse_unusable(settings))
    worker.run(settings)
