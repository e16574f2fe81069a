"""The gateway forwards to the processes that run."""

import pytest

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.api.serve_process import serve_process
from tests.support.gateway import needs_nginx, of_all_roles, running_gateway


@needs_nginx
@pytest.mark.usefixtures("database")
async def test_process_that_is_down_is_left_out(settings: Settings) -> None:
    async with (
        serve_process(settings, TRUSTED_PROXIES="127.0.0.1") as api,
        running_gateway(of_all_roles(free_port(), api.port)) as gateway,
        gateway.client() as client,
    ):
        for _ in range(4):
            assert (await client.get("/livez", headers={"X-Forwarded-For": "1.2.3.4"})).status_code == 200
            assert (await client.get("/api/tags")).status_code == 200
        assert (await client.get("/api/admin/index")).status_code == 401
