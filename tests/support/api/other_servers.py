"""The application under ASGI servers other than ours, as a subprocess."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from core.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.api.serve_process import answers, environment
from tests.support.eventually import eventually

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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *COMMANDS[name](port),
        env=environment(settings, **variables),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        await eventually(lambda: answers(f"{address}/readyz"), within=60)
        yield address
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(20):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
