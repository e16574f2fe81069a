from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elasticsearch import AsyncElasticsearch
from structlog.testing import capture_logs

from core.settings import Settings
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


@pytest.fixture
async def index(es: AsyncElasticsearch, settings: Settings) -> AsyncIterator[None]:
    name = f"{settings.elasticsearch_alias}-readiness"
    await es.indices.create(index=name, aliases={settings.elasticsearch_alias: {}})
    yield
    await es.indices.delete(index=name)


async def code(api: httpx2.AsyncClient) -> str:
    """Of the refusal; `ok` where there is none."""
    response = await api.get("/readyz")
    body: dict[str, Any] = response.json()
    assert (response.status_code == 200) == (body.get("status") == "ok")
    return str(body.get("code", "ok"))


@pytest.fixture
def unbuilt(settings: Settings) -> Settings:
    """Of an index that nobody has built."""
    return settings.model_copy(update={"elasticsearch_alias": f"{settings.elasticsearch_alias}-unbuilt"})


@pytest.mark.usefixtures("database")
async def test_without_an_index_a_process_is_not_ready(unbuilt: Settings) -> None:
    async with serving(unbuilt) as api:
        assert await code(api) == "no_index"


@pytest.mark.usefixtures("database", "index")
async def test_what_a_starting_process_waits_for_is_said_and_its_coming_noticed(settings: Settings) -> None:
    async with FaultProxy(settings.elasticsearch_url) as way:
        await way.switch(Mode.CUT)
        with capture_logs() as logs:
            async with serving(settings.model_copy(update={"elasticsearch_url": way.url})) as api:
                assert await code(api) == "unavailable"
                await eventually(lambda: any(entry["event"] == "waiting" for entry in logs))
                await way.switch(Mode.PASS)
                await eventually(lambda: any(entry["event"] == "ready" for entry in logs))
                assert await code(api) == "ok"
    waiting = [entry for entry in logs if entry["event"] == "waiting"]
    assert {entry["code"] for entry in waiting} == {"unavailable"}
    assert all("search index" in entry["message"] for entry in waiting)


@pytest.mark.usefixtures("database", "index")
async def test_a_process_that_was_ready_needs_the_index_or_the_database(settings: Settings) -> None:
    async with FaultProxy(settings.elasticsearch_url) as index, FaultProxy(settings.database_url) as database:
        ways = {"elasticsearch_url": index.url, "database_url": database.url}
        async with serving(settings.model_copy(update=ways)) as api:
            assert await code(api) == "ok"
            await index.switch(Mode.CUT)
            assert await code(api) == "ok"
            await database.switch(Mode.CUT)
            assert await code(api) == "unavailable"
            await index.switch(Mode.PASS)
            assert await code(api) == "ok"


@pytest.mark.usefixtures("database", "index")
async def test_a_new_process_does_with_the_database_once_the_index_has_been_out_of_reach_for_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.lifecycle.readiness.STARTUP_GRACE_SECONDS", 0.3)
    async with FaultProxy(settings.elasticsearch_url) as way:
        await way.switch(Mode.CUT)
        async with serving(settings.model_copy(update={"elasticsearch_url": way.url})) as api:
            assert await code(api) == "unavailable"

            async def ready() -> bool:
                return await code(api) == "ok"

            await eventually(ready)


@pytest.mark.usefixtures("database")
async def test_a_new_process_waits_for_the_first_index_for_ever(
    unbuilt: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.lifecycle.readiness.STARTUP_GRACE_SECONDS", 0.0)
    async with serving(unbuilt) as api:
        assert await code(api) == "no_index"
