"""Run `smarttrip serve` for the duration of a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.processes import SMARTTRIP, RunningProcess, environment, running_process


@asynccontextmanager
async def serve_process(
    settings: Settings, *, port: int | None = None, **variables: str
) -> AsyncIterator[RunningProcess]:
    """Run the API once it is alive, not necessarily ready; `variables` are added to its environment."""
    port = port or free_port()
    command = (SMARTTRIP, "serve", "--port", str(port))
    # A killed process leaves files, and its own workers may still be ending when they are removed.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        env = environment(settings, **{"TMPDIR": folder, **variables})
        async with running_process(command, env, port=port) as process:
            await process.wait_until_responding()
            yield process
