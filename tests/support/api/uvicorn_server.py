"""The application under uvicorn, in a thread with an event loop of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server

import uvicorn

from app.main import create_app
from core.configuration.settings import Settings


@contextmanager
def uvicorn_serving(settings: Settings) -> Iterator[str]:
    """Start a server and yield its address."""
    config = uvicorn.Config(create_app(settings), http="httptools", loop="uvloop", log_config=None, access_log=False)
    server = _ReportingServer(config)
    with create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            server.is_up.wait(timeout=30)
            assert server.started, "the server did not start"
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class _ReportingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.is_up.set()
