"""Run the API under uvicorn."""

import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app.observability.shared_metrics import shared_directory
from app.server.connections import raise_open_files_limit
from app.server.protocol import IDLE_SECONDS
from app.server.shedding_protocol import LoadSheddingProtocol
from app.server.sockets import ReusePortSocket, acquire_port_lock
from app.server.worker_processes import START_SECONDS, WorkerProcesses
from core.configuration.settings import LogFormat, Settings
from core.gc_tuning import tune_gc
from core.logs.configuration import configure_logs

GRACE_SECONDS = 20
"""How long requests in flight may take to finish after SIGTERM; below the usual 30 of orchestrators."""

END_SECONDS = 10
"""How long a process may take to end after it has drained and its requests have finished, or were given up."""


class ServerConfig(uvicorn.Config):
    """Configuration of a server whose logs are the project's, in the parent and in each worker process."""

    log_format: LogFormat = "auto"

    def configure_logging(self) -> None:
        configure_logs(str(self.log_level), self.log_format)
        # Whether to log requests depends on a handler: their lines have the client's address and the whole query.
        logging.getLogger("uvicorn.access").propagate = self.access_log


def serve(settings: Settings, app: str = "app.main:app_from_environment") -> None:
    """Serve until SIGTERM or SIGINT. `app` names the application's factory, which reads the environment itself.

    Raises: KeyboardInterrupt after SIGINT, when all requests are answered.
    """
    os.environ.update(HOST=settings.host, PORT=str(settings.port), WORKERS=str(settings.workers))
    raise_open_files_limit()
    config = _config(settings, app)
    if settings.workers == 1:
        _serve_single(config)
    else:
        # A single process does it once it has imported the application.
        tune_gc()
        with shared_directory(), acquire_port_lock(settings.host, settings.port):
            end_seconds = settings.drain_seconds + GRACE_SECONDS + END_SECONDS
            WorkerProcesses(config, [ReusePortSocket(config.bind_socket())], end_seconds=end_seconds).run()


def _config(settings: Settings, app: str) -> ServerConfig:
    config = ServerConfig(
        app,
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http=LoadSheddingProtocol,
        ws="none",
        access_log=False,
        log_level=settings.log_level,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
    )
    config.log_format = settings.log_format
    return config


def _serve_single(config: uvicorn.Config) -> None:
    server = uvicorn.Server(config)
    # When the server has ended, uvicorn raises the signals that ended it once more.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _exit)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit()
