"""Run PgBouncer in transaction mode in front of Postgres."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from scripts.dev_stack.paths import own_folder, service_user
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.tcp import accepts_connections

SERVER_CONNECTIONS = 3
BINARY = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin")


def _configuration(url: str, port: int, folder: Path) -> str:
    server = make_url(url)
    return f"""
[databases]
* = host={server.host} port={server.port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder / "users"}
logfile = {folder / "log"}
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
max_client_conn = 200
"""


@asynccontextmanager
async def pgbouncer(url: str, folder: Path) -> AsyncIterator[str]:
    """Yield the address, through PgBouncer, of the database at `url`; its user must be able to enter `folder`."""
    assert BINARY
    server, port, user = make_url(url), free_port(), service_user()
    own_folder(folder)
    (folder / "users").write_text(f'"{server.username}" "{server.password or ""}"\n')
    (folder / "ini").write_text(_configuration(url, port, folder))
    for path in folder.iterdir():
        path.chmod(0o644)
    process = await asyncio.create_subprocess_exec(BINARY, "--quiet", str(folder / "ini"), user=user, group=user)
    try:
        await eventually(lambda: accepts_connections(port), within=10)
        yield server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    finally:
        process.terminate()
        await process.wait()
