"""The configurations in deploy/, with real PgBouncer and nginx."""

import asyncio
import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from core.settings import Settings
from scripts.dev_stack.paths import own_folder, service_user
from scripts.dev_stack.ports import free_port
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
CERTIFICATE = Path(__file__).parents[1] / "support" / "api" / "localhost.pem"
PATH = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin"
NGINX, PGBOUNCER = shutil.which("nginx", path=PATH), shutil.which("pgbouncer", path=PATH)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the services' user may enter."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield own_folder(Path(path) / "service")


def replace(text: str, *edits: tuple[str, str]) -> str:
    """Replace what a comment of the file tells the reader to replace; each must occur."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def running(port: int, *command: str) -> AsyncIterator[None]:
    """Run a server as the services' user once it accepts connections."""
    user = service_user()
    process = await asyncio.create_subprocess_exec(*command, user=user, group=user)

    async def accepts_connections() -> bool:
        assert process.returncode is None
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(accepts_connections, within=20)
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(PGBOUNCER is None, reason="needs PgBouncer: apt-get install pgbouncer")
async def test_pgbouncer_serves_transactions(settings: Settings, folder: Path) -> None:
    assert PGBOUNCER
    server, port = make_url(settings.database_url), free_port()
    (folder / "userlist.txt").write_text(f'"{server.username}" "{server.password or ""}"\n')
    ini = replace(
        (DEPLOY / "pgbouncer" / "pgbouncer.ini").read_text(encoding="utf-8"),
        ("host=postgres port=5432", f"host={server.host} port={server.port}"),
        ("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1"),
        ("listen_port = 6432", f"listen_port = {port}"),
        # Postgres of the tests has no passwords.
        ("auth_type = scram-sha-256", "auth_type = trust"),
        ("/etc/pgbouncer/userlist.txt", str(folder / "userlist.txt")),
    )
    (folder / "ini").write_text(ini)
    for path in folder.iterdir():
        path.chmod(0o644)
    url = server.set(drivername="postgresql", host="127.0.0.1", port=port).render_as_string(hide_password=False)
    async with running(port, PGBOUNCER, "--quiet", str(folder / "ini")):
        # More clients than server connections: those that wait get their turn.
        clients = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(30)]
        try:
            found = await asyncio.gather(
                *(client.fetchval("SELECT count(*) FROM trip_occurrences") for client in clients)
            )
        finally:
            for client in clients:
                await client.close()
    assert len(found) == 30


@pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")
@pytest.mark.usefixtures("database")
async def test_nginx_forwards_to_the_processes_that_run(settings: Settings, folder: Path) -> None:
    assert NGINX
    tls, plain, api, down = (free_port() for _ in range(4))
    conf = gateway(folder, tls=tls, plain=plain, upstream=(api, down))
    user = service_user()
    check = (NGINX, "-t", "-c", str(conf), "-p", str(folder))
    checked = subprocess.run(check, check=False, capture_output=True, text=True, user=user, group=user)
    assert checked.returncode == 0, checked.stderr
    command = (NGINX, "-c", str(conf), "-p", str(folder), "-g", "daemon off;")
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with (
        serve_process(settings, port=api, TRUSTED_PROXIES="127.0.0.1"),
        running(tls, *command),
        httpx2.AsyncClient(base_url=f"https://127.0.0.1:{tls}", verify=context) as client,
    ):
        for _ in range(4):
            assert (await client.get("/livez", headers={"X-Forwarded-For": "1.2.3.4"})).status_code == 200
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.post("/api/v2/recommendations", content=b"x" * 200_000)).status_code == 413
        assert (await client.get("/api/admin/index")).status_code == 401
        redirect = await client.get(f"http://127.0.0.1:{plain}/api/health?a=1")
        assert (redirect.status_code, redirect.headers["location"]) == (308, "https://127.0.0.1/api/health?a=1")


def gateway(folder: Path, *, tls: int, plain: int, upstream: tuple[int, int]) -> Path:
    """Write nginx.conf with ports of its own and the tests' certificate; return its path."""
    shutil.copyfile(CERTIFICATE, folder / "pair.pem")
    text = replace(
        (DEPLOY / "gateway" / "nginx.conf").read_text(encoding="utf-8"),
        ("127.0.0.1:5000", f"127.0.0.1:{upstream[0]}"),
        ("127.0.0.1:5001", f"127.0.0.1:{upstream[1]}"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{tls} ssl http2;"),
        ("api.example.org", "127.0.0.1"),
        ("/etc/nginx/tls/fullchain.pem", str(folder / "pair.pem")),
        ("/etc/nginx/tls/privkey.pem", str(folder / "pair.pem")),
    )
    paths = "".join(
        f"    {name}_temp_path {folder};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"pid {folder / 'pid'};\nerror_log {folder / 'errors'};\n" + text.replace("http {\n", f"http {{\n{paths}", 1)
    conf = folder / "nginx.conf"
    conf.write_text(text)
    for path in folder.iterdir():
        path.chmod(0o644)
    return conf


def test_documents_name_the_configurations() -> None:
    text = (DEPLOY.parent / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
    named = {DEPLOY.parent / path for path in re.findall(r"deploy/[a-z/]+[a-z.]*", text)}
    for path in DEPLOY.rglob("*"):
        assert path.is_dir() or {path, *path.parents} & named, path
    assert all(path.exists() for path in named)
