"""nginx with a copy of deploy/gateway/, for the duration of a block."""

import asyncio
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import psutil
import pytest

from core.configuration.roles import ROLES, Role
from scripts.dev_stack.paths import own_folder, service_user, write_own_file
from scripts.dev_stack.ports import free_port
from scripts.gateway.configuration import GatewayConfiguration
from tests.support.eventually import eventually
from tests.support.tcp import accepts_connections

CERTIFICATE = Path(__file__).parent / "api" / "localhost.pem"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/bin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")
TLS = ssl.create_default_context(cafile=str(CERTIFICATE))


def of_all_roles(*ports: int) -> dict[Role, tuple[int, ...]]:
    """Return the upstreams of processes that serve all roles."""
    return dict.fromkeys(ROLES, ports)


@dataclass
class Gateway:
    configuration: GatewayConfiguration
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.configuration.tls_port}"

    def client(self, *, source: str = "127.0.0.1", http2: bool = False, **options: Any) -> httpx2.AsyncClient:
        """Return a client with this address on the loopback interface."""
        transport = httpx2.AsyncHTTPTransport(verify=TLS, http2=http2, local_address=source)
        return httpx2.AsyncClient(base_url=self.url, transport=transport, timeout=30, **options)

    async def reload(self, **changes: Any) -> None:
        """Change the configuration without ending a request; return when the processes of the old one have ended."""
        self.configuration = replace(self.configuration, **changes)
        self.configuration.write()
        await self.reload_files()

    async def reload_files(self) -> None:
        """Have nginx read its files again; return as `reload` does."""
        before = set(self._workers())
        self.process.send_signal(signal.SIGHUP)
        await eventually(lambda: bool(workers := set(self._workers())) and not workers & before, within=60)

    def _workers(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]


def check(configuration: GatewayConfiguration) -> None:
    """Assert that nginx accepts the configuration, without a warning."""
    user = service_user()
    checked = subprocess.run(
        _command(configuration, "-t"), check=False, capture_output=True, text=True, user=user, group=user
    )
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr, checked.stderr


@asynccontextmanager
async def running_gateway(upstreams: dict[Role, tuple[int, ...]], *replaced: tuple[str, str]) -> AsyncIterator[Gateway]:
    """Run nginx once it accepts connections; `replaced` are texts of the configuration, with their replacements."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        configuration = configured(Path(folder), upstreams, *replaced)
        user = service_user()
        process = await asyncio.create_subprocess_exec(
            *_command(configuration, "-g", "daemon off;"), user=user, group=user
        )
        try:
            await eventually(lambda: _accepts(process, configuration.tls_port), within=20)
            yield Gateway(configuration, process)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def configured(
    folder: Path, upstreams: dict[Role, tuple[int, ...]], *replaced: tuple[str, str]
) -> GatewayConfiguration:
    """Write the configuration to a folder that the services' user may enter."""
    folder.chmod(0o755)
    own = own_folder(folder / "gateway")
    certificate = own / "pair.pem"
    write_own_file(certificate, CERTIFICATE.read_text(encoding="utf-8"))
    configuration = GatewayConfiguration(
        folder=own,
        tls_port=free_port(),
        plain_port=free_port(),
        upstreams=upstreams,
        certificate=certificate,
        replaced=replaced,
    )
    configuration.write()
    return configuration


def _command(configuration: GatewayConfiguration, *options: str) -> tuple[str, ...]:
    assert NGINX
    return (NGINX, "-p", str(configuration.folder), "-c", str(configuration.path), "-e", "stderr", *options)


async def _accepts(process: asyncio.subprocess.Process, port: int) -> bool:
    assert process.returncode is None
    return await accepts_connections(port)
