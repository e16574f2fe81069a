"""Commands that stay: the API and the worker."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

from typing import Annotated

import typer

from core.settings import load_settings
from scripts.errors import port_taken
from scripts.ports import is_free


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="HOST, else 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="PORT, else 5000")] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes.", show_default="WORKERS, else 1")] = None,
) -> None:
    """Serve the API until it is told to stop."""
    from app.server import run
    from app.server.sockets import PortInUse

    options = {"host": host, "port": port, "workers": workers}
    settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    if not is_free(settings.port, settings.host):
        raise port_taken(settings.port)
    try:
        run.serve(settings)
    except PortInUse:
        raise port_taken(settings.port) from None


def worker() -> None:
    """Carry changes from Postgres to the index until it is told to stop."""
    from core.logging import configure_logs
    from indexer import worker

    settings = load_settings()
    if settings.worker_port is not None and not is_free(settings.worker_port, settings.host):
        raise port_taken(settings.worker_port)
    configure_logs(settings.log_level)
    worker.run(settings)
