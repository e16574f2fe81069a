"""The API under uvicorn."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import uvicorn

from app import metrics
from app.door import GuardedProtocol
from app.logs import configure_logs
from app.protocol import IDLE_SECONDS
from schemas.settings import Settings

GRACE_SECONDS = 20
"""How long requests in flight may take to finish after SIGTERM; below the orchestrators' usual 30."""


def serve(settings: Settings, app: str = "app.main:app_from_environment") -> None:
    """Serves until SIGTERM or SIGINT. The worker processes read the same environment themselves.

    `app` names what makes the application.
    """
    configure_logs(settings.log_level)
    os.environ.update(HOST=settings.host, PORT=str(settings.port), WORKERS=str(settings.workers))
    with _figures_of_all(settings.workers):
        uvicorn.run(
            app,
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            loop="uvloop",
            http=GuardedProtocol,
            access_log=False,
            log_level=settings.log_level,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )


@contextmanager
def _figures_of_all(workers: int) -> Iterator[None]:
    """A place where several worker processes put their metrics together."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="smarttrip-metrics-") as directory:
        os.environ[metrics.DIRECTORY] = directory
        yield
