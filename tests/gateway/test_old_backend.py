"""The platform's move from its old backend: nginx gives a share of the clients to each, as the guide says."""

import re
import subprocess
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from tests.docs.documents import text
from tests.gateway.conftest import UNLIMITED
from tests.support.api.old_backend import SERVER, old_backend
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.gateway import Gateway, check, needs_nginx, of_all_roles, running_gateway

GUIDE = "docs/how-to/move-from-the-old-backend.md"
CLIENTS = [f"127.0.0.{number}" for number in range(1, 41)]


def follow(step: str, folder: Path) -> None:
    """Run the commands of a step of the guide, except those of nginx."""
    section = text(GUIDE).partition(f"## {step}")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ") and "nginx -t" not in line]
    assert lines
    subprocess.run(["sh", "-euc", "\n".join(lines)], check=True, env={"NGINX": str(folder), "PATH": "/usr/bin:/bin"})


def files(gateway: Gateway) -> dict[str, str]:
    return {path.name: path.read_text() for path in gateway.configuration.folder.glob("*.conf")}


async def give(gateway: Gateway, share: str) -> set[str]:
    """Give SmartTrip this share, such as `10% smarttrip;`; return the clients that it then answers."""
    path = gateway.configuration.folder / "old_backend.conf"
    content, replaced = re.subn(r"(?m)^.*smarttrip;$(?=\n    \* old)", f"    {share}", path.read_text())
    assert replaced == 1
    path.write_text(content)
    check(gateway.configuration)
    await gateway.reload_files()
    return {client for client in CLIENTS if not await is_answered_by_old(gateway, client)}


async def is_answered_by_old(gateway: Gateway, client: str) -> bool:
    async with gateway.client(source=client) as http:
        response = await http.post("/api/v2/recommendations", json={})
    assert response.status_code == 200
    assert response.json()["success"] is True
    return response.headers.get("X-Backend") == SERVER


@needs_nginx
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_clients_move_share_by_share_and_back(settings: Settings, trips: None) -> None:
    unlimited = settings.model_copy(update={"rate_limit_enabled": False})
    async with old_backend() as old:
        own = ("server 127.0.0.1:8001;", f"server 127.0.0.1:{old.port};")
        with uvicorn_serving(unlimited) as api:
            port = int(api.rpartition(":")[2])
            async with running_gateway(of_all_roles(port), *UNLIMITED, own) as gateway:
                before = files(gateway)
                follow("3. The gateway in front of both", gateway.configuration.folder)
                assert await give(gateway, "# 1% smarttrip;") == set()
                few = await give(gateway, "20% smarttrip;")
                many = await give(gateway, "60% smarttrip;")
                assert set() < few < many < {*CLIENTS}
                assert await give(gateway, "100% smarttrip;") == {*CLIENTS}
                assert await give(gateway, "20% smarttrip;") == few
                follow("5. Without the old one", gateway.configuration.folder)
                await gateway.reload_files()
                assert [client for client in CLIENTS if await is_answered_by_old(gateway, client)] == []
                after = files(gateway)
    assert after.pop("old_backend.conf") != before.pop("old_backend.conf")
    assert after == before
