"""The application under ASGI servers other than ours, as a subprocess."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from signal import SIGTERM

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.processes import environment, running_process

FACTORY = "app.main:app_from_environment"


def _uvicorn(port: int) -> Sequence[str]:
    return ["uvicorn", FACTORY, "--factory", "--port", str(port)]


def _hypercorn(port: int) -> Sequence[str]:
    # Hypercorn evaluates the name, so that the parentheses call the factory.
    return ["hypercorn", f"{FACTORY}()", "--bind", f"127.0.0.1:{port}"]


def _granian(port: int) -> Sequence[str]:
    return ["granian", FACTORY, "--factory", "--interface", "asgi", "--port", str(port)]


COMMANDS: dict[str, Callable[[int], Sequence[str]]] = {
    "uvicorn": _uvicorn,
    "hypercorn": _hypercorn,
    "granian": _granian,
}
"""Arguments of `python -m` that serve the application at a port of 127.0.0.1."""


@asynccontextmanager
async def other_server(name: str, settings: Settings, **variables: str) -> AsyncIterator[str]:
    """Start the server, yield its address, and stop it with SIGTERM."""
    port = free_port()
    command = (sys.executable, "-m", *COMMANDS[name](port))
    env = environment(settings, **variables)
    async with running_process(command, env, port=port, stop_signal=SIGTERM) as process:
        await process.wait_until_responding("/readyz")
        yield process.url
