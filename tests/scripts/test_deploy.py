"""The configurations in deploy/, with real PgBouncer and HAProxy; tests/gateway/ has those of nginx."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from elastic_transport.client_utils import url_to_node_config

from core import clients
from core.configuration.settings import Settings
from scripts.dev_stack.paths import own_folder, service_user, write_own_file
from scripts.dev_stack.ports import free_port
from tests.conftest import plain
from tests.support import pgbouncer
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.tcp import accepts_connections
from tests.support.tls_proxy import CERTIFICATE, tls_proxy

DEPLOY = Path(__file__).parents[2] / "deploy"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin")
needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="needs HAProxy: apt-get install haproxy")


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
async def running(port: int, *command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[None]:
    """Run a server as the services' user once it accepts connections."""
    user = service_user()
    process = await asyncio.create_subprocess_exec(*command, user=user, group=user, env=env)

    async def is_up() -> bool:
        assert process.returncode is None
        return await accepts_connections(port)

    try:
        await eventually(is_up, within=20)
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(pgbouncer.BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")
async def test_pgbouncer_serves_transactions(settings: Settings, folder: Path) -> None:
    async with pgbouncer.pgbouncer(plain(settings.database_url), folder) as pooler:
        # More clients than server connections: those that wait get their turn.
        clients = [await asyncpg.connect(pooler.url, statement_cache_size=0) for _ in range(30)]
        try:
            found = await asyncio.gather(
                *(client.fetchval("SELECT count(*) FROM trip_occurrences") for client in clients)
            )
        finally:
            for client in clients:
                await client.close()
    assert len(found) == 30


def haproxy_configuration(port: int, node: str, *edits: tuple[str, str]) -> str:
    """Return the example with this node between two that are down."""
    return replace(
        (DEPLOY / "haproxy" / "elasticsearch.cfg").read_text(encoding="utf-8"),
        # The tests' HAProxy is not started by root.
        ("    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n", ""),
        ("bind 0.0.0.0:9200", f"bind 127.0.0.1:{port}"),
        ("10.0.0.11:9200", f"127.0.0.1:{free_port()}"),
        ("10.0.0.12:9200", node),
        ("10.0.0.13:9200", f"127.0.0.1:{free_port()}"),
        *edits,
    )


@asynccontextmanager
async def running_haproxy(folder: Path, port: int, text: str, **variables: str) -> AsyncIterator[None]:
    """Run HAProxy with this configuration, which it accepts without a warning."""
    assert HAPROXY
    path, environment = folder / "cfg", {**os.environ, **variables}
    write_own_file(path, text)
    checked = subprocess.run((HAPROXY, "-c", "-dW", "-f", path), env=environment, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    async with running(port, HAPROXY, "-f", str(path), env=environment):
        yield


@needs_haproxy
async def test_haproxy_leaves_out_a_node_that_is_down(settings: Settings, folder: Path) -> None:
    port, node = free_port(), url_to_node_config(settings.elasticsearch_url)
    configuration = haproxy_configuration(port, f"{node.host}:{node.port}")
    behind = settings.model_copy(update={"elasticsearch_url": f"http://127.0.0.1:{port}"})
    async with running_haproxy(folder, port, configuration), serving(behind) as api:
        async with clients.elasticsearch(behind.elasticsearch_url, max_retries=0) as es:
            for _ in range(30):
                assert (await es.cluster.health(local=True))["number_of_nodes"] >= 1
        assert (await api.get("/api/health")).status_code == 200


@needs_haproxy
async def test_haproxy_checks_secured_nodes_with_credentials_of_its_environment(
    settings: Settings, folder: Path
) -> None:
    port, key, authority = free_port(), "ApiKey VnVhQ2ZHY0JDZGJrUW0=", folder / "ca.pem"
    write_own_file(authority, CERTIFICATE.read_text(encoding="utf-8"))
    async with tls_proxy(settings.elasticsearch_url, key) as node:
        configuration = haproxy_configuration(
            port,
            f"127.0.0.1:{node.port}",
            ("# default-server ssl", "default-server ssl"),
            ("/etc/haproxy/elasticsearch-ca.pem", str(authority)),
        )
        url = f"http://127.0.0.1:{port}"

        async def status() -> int:
            async with http_client(url) as client:
                return (await client.get("/_cluster/health?local=true", headers={"Authorization": key})).status_code

        async with running_haproxy(folder, port, configuration):

            async def is_down() -> bool:
                return node.refused > 1 and await status() == 503

            await eventually(is_down, within=30)
        async with running_haproxy(folder, port, configuration, ELASTICSEARCH_CHECK_AUTHORIZATION=key):
            checks = node.forwarded + 3
            await eventually(lambda: node.forwarded >= checks, within=30)
            assert await status() == 200


def test_documents_name_the_configurations() -> None:
    pages = (DEPLOY.parent / "docs" / "how-to").glob("deploy*.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    named = {DEPLOY.parent / path for path in re.findall(r"deploy/[\w/-]+[a-z.]*", text)}
    for path in DEPLOY.rglob("*"):
        assert path.is_dir() or {path, *path.parents} & named, path
    assert all(path.exists() for path in named)
