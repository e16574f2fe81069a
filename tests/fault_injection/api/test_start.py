"""Processes that start before what they depend on."""

from contextlib import AsyncExitStack

import httpx2

from core.settings import Settings
from tests.fault_injection.api.serving_process import DEPENDENCIES, worker_process
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


async def test_services_that_appear_later_are_picked_up(settings: Settings, filled: object) -> None:
    unbuilt = settings.model_copy(update={"elasticsearch_alias": f"{settings.elasticsearch_alias}-late"})
    async with AsyncExitStack() as stack:
        ways = {
            setting: await stack.enter_async_context(FaultProxy(getattr(settings, setting)))
            for setting in DEPENDENCIES.values()
        }
        for way in ways.values():
            await way.switch(Mode.CUT)
        lonely = unbuilt.model_copy(update={setting: way.url for setting, way in ways.items()})
        worker = await stack.enter_async_context(worker_process(lonely))
        serving = await stack.enter_async_context(serve_process(lonely))
        api = await stack.enter_async_context(httpx2.AsyncClient(base_url=serving.url))

        async def waits_for(code: str) -> bool:
            answer = await api.get("/readyz")
            return answer.status_code == 503 and answer.json()["code"] == code

        async def recommends() -> bool:
            ready, answer = await api.get("/readyz"), await api.post("/api/v2/recommendations", json={})
            return ready.status_code == 200 and answer.json().get("count") == 30 and "degraded" not in answer.json()

        assert await waits_for("unavailable")
        await ways["elasticsearch_url"].switch(Mode.PASS)
        await eventually(lambda: waits_for("no_index"))
        for way in ways.values():
            await way.switch(Mode.PASS)
        await eventually(recommends, within=40)
        assert worker.returncode is None
