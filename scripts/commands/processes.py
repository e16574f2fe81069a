"""`smarttrip serve` and `smarttrip worker`: the two long-running processes."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import Annotated, Any

import typer

from scripts.commands.options import setting
from scripts.interrupts import run_cancellable


def _option(name: str, metavar: str, text: str, default: str) -> Any:
    """Return an option that overrides the setting `name`."""
    return typer.Option(
        parser=setting(name), metavar=metavar, help=text, show_default=f"{name.upper()}, else {default}"
    )


def serve(
    host: Annotated[str | None, _option("host", "ADDRESS", "Address to listen on.", "127.0.0.1")] = None,
    port: Annotated[int | None, _option("port", "N", "Port to listen on.", "5000")] = None,
    workers: Annotated[int | None, _option("workers", "N", "Number of processes.", "1")] = None,
) -> None:
    """Start the API: serve HTTP until SIGTERM or Ctrl-C."""
    from core.gc_tuning import pause_gc

    pause_gc()
    from app.server import run
    from app.server.sockets import PortInUse
    from core.configuration.settings import load_settings
    from core.logs.configuration import configure_logs
    from indexer.preflight.start import log_differences, refuse_unusable
    from scripts.ports import port_taken, require_free

    options = {"host": host, "port": port, "workers": workers}
    settings = load_settings(**{name: value for name, value in options.items() if value is not None})
    chosen_by = {name: name.upper() if value is None else f"--{name}" for name, value in options.items()}
    require_free(settings.port, settings.host, port_name=chosen_by["port"], host_name=chosen_by["host"])
    configure_logs(settings.log_level, settings.log_format)
    run_cancellable(refuse_unusable(settings))
    run_cancellable(log_differences(settings))
    try:
        run.serve(settings)
    except PortInUse:
        raise port_taken(settings.port, chosen_by["port"]) from None


def worker() -> None:
    """Start the worker: apply changes from Postgres to the index, and run scheduled jobs, until SIGTERM or Ctrl-C."""
    from core.gc_tuning import pause_gc

    pause_gc()
    from core.configuration.settings import load_settings
    from core.logs.configuration import configure_logs
    from indexer import worker
    from indexer.preflight.start import refuse_unusable
    from scripts.ports import require_free

    settings = load_settings()
    if settings.worker_port is not None:
        require_free(settings.worker_port, settings.host, port_name="WORKER_PORT")
    configure_logs(settings.log_level, settings.log_format)
    run_cancellable(refuse_unusable(settings))
    worker.run(settings)
