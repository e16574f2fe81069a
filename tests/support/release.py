"""A release of the program: this tree, or a patched copy of it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.configuration.settings import Settings
from schemas.index_document import DOCUMENT_VERSION
from scripts.dev_stack.ports import free_port
from tests.support.processes import PATIENT, RunningProcess, environment, running_process
from tests.support.recipes import TreeCopy

START = 120.0
"""Seconds within which an index is built, on a busy machine."""
PYTHON = (sys.executable, "-P", "-c")
"""Without the working folder on the path, which has the modules of this tree."""
CLI = "from scripts.cli import main; main()"
PATIENT_CLI = f"from app.recommendations import service; service.HEDGE_SECONDS = 100.0; {CLI}"
"""A search that takes long, on a busy machine, is not answered from Postgres, degraded."""
COMMAND = (*PYTHON, CLI)


@dataclass(frozen=True)
class Release:
    settings: Settings
    tree: Path

    @asynccontextmanager
    async def process(
        self, *arguments: str, port: int, code: str = CLI, **variables: str
    ) -> AsyncIterator[RunningProcess]:
        """Run a command of the release once its process is alive; end it with SIGTERM."""
        env = environment(self.settings, PYTHONPATH=str(self.tree), **variables)
        command = (*PYTHON, code, *arguments)
        async with running_process(command, env, port=port) as running:
            await running.wait_until_responding()
            yield running
            running.process.terminate()
            await running.process.wait()

    @asynccontextmanager
    async def worker(self, **variables: str) -> AsyncIterator[RunningProcess]:
        port = free_port()
        async with self.process("worker", port=port, WORKER_PORT=str(port), **variables) as running:
            yield running

    @asynccontextmanager
    async def api(self, **variables: str) -> AsyncIterator[RunningProcess]:
        """Run the API once it is ready."""
        async with self.starting_api(**variables) as running:
            await running.wait_until_responding("/readyz")
            yield running

    @asynccontextmanager
    async def starting_api(self, **variables: str) -> AsyncIterator[RunningProcess]:
        """Run the API once it is alive."""
        port = free_port()
        # This is not about slow searches.
        variables = {"DRAIN_SECONDS": "0", **PATIENT, **variables}
        async with self.process("serve", "--port", str(port), port=port, code=PATIENT_CLI, **variables) as running:
            yield running

    async def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the release, which has to end with this exit code; return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            env=environment(self.settings, PYTHONPATH=str(self.tree)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == code, output.decode()
        return output.decode()


def raise_document_version(tree: TreeCopy) -> None:
    tree.replace(
        "schemas/index_document.py",
        f"DOCUMENT_VERSION = {DOCUMENT_VERSION}\n",
        f"DOCUMENT_VERSION = {DOCUMENT_VERSION + 1}\n",
    )
