"""Processes that start before their dependencies."""

import httpx2

from core.configuration.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.dependency_proxies import dependency_proxies
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.http_client import http_client
from tests.support.processes import worker_process


async def test_processes_wait_for_late_dependencies(settings: Settings, sample_catalogue: object) -> None:
    unbuilt = settings.model_copy(update={"elasticsearch_alias": f"{settings.elasticsearch_alias}-late"})
    async with dependency_proxies(unbuilt) as dependencies:
        await dependencies.switch_all(Mode.CUT)
        async with (
            worker_process(dependencies.settings) as worker,
            serve_process(dependencies.settings) as serving,
            http_client(serving.url) as api,
        ):
            assert await is_unready(api, "unavailable")
            await dependencies["elasticsearch"].switch(Mode.PASS)
            await eventually(lambda: is_unready(api, "no_index"))
            await dependencies.switch_all(Mode.PASS)
            await eventually(lambda: recommends(api), within=40)
            assert worker.process.returncode is None


async def is_unready(api: httpx2.AsyncClient, code: str) -> bool:
    response = await api.get("/readyz")
    return response.status_code == 503 and response.json()["code"] == code


async def recommends(api: httpx2.AsyncClient) -> bool:
    ready, response = await api.get("/readyz"), await api.post("/api/v2/recommendations", json={})
    body = response.json()
    return ready.status_code == 200 and body.get("count") == 30 and "degraded" not in body
