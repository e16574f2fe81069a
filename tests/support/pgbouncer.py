"""PgBouncer with a copy of deploy/pgbouncer/, for the duration of a block."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

from sqlalchemy.engine import make_url

from scripts.dev_stack.paths import own_folder, service_user
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.tcp import accepts_connections

BINARY = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin")
EXAMPLE = Path(__file__).parents[2] / "deploy" / "pgbouncer" / "pgbouncer.ini"


@dataclass
class Pooler:
    server: str
    """Address of the database that it leads to."""
    port: int
    folder: Path
    replaced: tuple[tuple[str, str], ...]
    process: asyncio.subprocess.Process | None = None
    stopped: bool = False
    database: str | None = None
    """Name of the database on the server, whichever the client asks for; None: that one."""

    @property
    def url(self) -> str:
        """Address of the database through the pooler."""
        return make_url(self.server).set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def lead_to(self, server: str, *, database: str | None = None) -> None:
        """Switch to the server at this address, as an operator does: by the file, and SIGHUP."""
        self.server, self.database = server, database
        self.write()
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(SIGHUP)

    def write(self) -> None:
        server, text = make_url(self.server), EXAMPLE.read_text(encoding="utf-8")
        database = f" dbname={self.database}" if self.database else ""
        edits = (
            ("host=postgres port=5432", f"host={server.host} port={server.port}{database}"),
            ("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1"),
            ("listen_port = 6432", f"listen_port = {self.port}"),
            # Postgres of the tests has no passwords for this machine.
            ("auth_type = scram-sha-256", "auth_type = trust"),
            ("/etc/pgbouncer/userlist.txt", str(self.folder / "users")),
            *self.replaced,
        )
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new)
        for name, content in {"users": f'"{server.username}" "{server.password or ""}"\n', "ini": text}.items():
            (self.folder / name).write_text(content, encoding="utf-8")
            (self.folder / name).chmod(0o644)

    async def run(self) -> None:
        """Run it until `stop`, and start it again when it ends before: Debian's does when a statement is cancelled."""
        assert BINARY
        user = service_user()
        while not self.stopped:
            self.process = await asyncio.create_subprocess_exec(
                BINARY, "--quiet", str(self.folder / "ini"), user=user, group=user
            )
            if self.stopped:
                self.process.terminate()
            await self.process.wait()

    def stop(self) -> None:
        self.stopped = True
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()


@asynccontextmanager
async def pgbouncer(url: str, folder: Path, *replaced: tuple[str, str]) -> AsyncIterator[Pooler]:
    """Run a pooler before the database at `url`, whose user may enter `folder`; `replaced` are texts of the file."""
    pooler = Pooler(url, free_port(), own_folder(folder), replaced)
    pooler.write()
    running = asyncio.create_task(pooler.run())
    try:
        await eventually(lambda: accepts_connections(pooler.port), within=20)
        yield pooler
    finally:
        pooler.stop()
        await running
