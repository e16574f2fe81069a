import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.lifecycle.required_backends import SearchBackends
from core.configuration.settings import Settings
from schemas.index_document import DOCUMENT_VERSION
from tests.conftest import drop_indices
from tests.support.api.serving import serving
from tests.support.dependency_proxies import dependency_proxies
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


@pytest.fixture
async def index(es: AsyncElasticsearch, settings: Settings) -> AsyncIterator[None]:
    # Another test's index would have the alias as well.
    await drop_indices(settings)
    name = f"{settings.elasticsearch_alias}-readiness"
    await es.indices.create(index=name, aliases={settings.search_alias: {}})
    yield
    await es.indices.delete(index=name)


async def code(api: httpx2.AsyncClient) -> str:
    """Return the error code of /readyz, or `ok`."""
    response = await api.get("/readyz")
    body: dict[str, Any] = response.json()
    assert (response.status_code == 200) == (body.get("status") == "ok")
    return str(body.get("code", "ok"))


async def has_code(api: httpx2.AsyncClient, expected: str) -> bool:
    return await code(api) == expected


@pytest.fixture
def unbuilt(settings: Settings) -> Settings:
    """Settings of an index that has not been built."""
    return settings.model_copy(update={"elasticsearch_alias": f"{settings.elasticsearch_alias}-unbuilt"})


@pytest.mark.usefixtures("database")
async def test_missing_index_is_not_ready(unbuilt: Settings) -> None:
    async with serving(unbuilt) as api:
        assert await code(api) == "no_index"


@pytest.mark.usefixtures("database", "index")
async def test_start_logs_missing_backend_until_ready(settings: Settings) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        await proxy.switch(Mode.CUT)
        with capture_logs() as logs:
            async with serving(settings.model_copy(update={"elasticsearch_url": proxy.url})) as api:
                assert await code(api) == "unavailable"
                await eventually(lambda: any(entry["event"] == "waiting" for entry in logs))
                await proxy.switch(Mode.PASS)
                await eventually(lambda: any(entry["event"] == "ready" for entry in logs))
                assert await code(api) == "ok"
    waiting = [entry for entry in logs if entry["event"] == "waiting"]
    assert {entry["code"] for entry in waiting} == {"unavailable"}
    assert all("search index" in entry["message"] for entry in waiting)


@pytest.mark.usefixtures("database", "index")
async def test_concurrent_probes_share_one_check(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(settings) as api:
        assert await code(api) == "ok"
        checks = 0
        check = SearchBackends._check_index

        async def count_and_check(backends: SearchBackends) -> None:
            nonlocal checks
            checks += 1
            await check(backends)

        monkeypatch.setattr(SearchBackends, "_check_index", count_and_check)
        assert set(await asyncio.gather(*(code(api) for _ in range(50)))) == {"ok"}
    assert checks < 5


@pytest.mark.usefixtures("database", "index")
async def test_running_process_needs_index_or_database(settings: Settings) -> None:
    async with FaultProxy(settings.elasticsearch_url) as index, FaultProxy(settings.database_url) as database:
        urls = {"elasticsearch_url": index.url, "database_url": database.url}
        async with serving(settings.model_copy(update=urls)) as api:
            assert await code(api) == "ok"
            await index.switch(Mode.CUT)
            assert await code(api) == "ok"
            await database.switch(Mode.CUT)
            assert await code(api) == "unavailable"
            await index.switch(Mode.PASS)
            assert await code(api) == "ok"


@pytest.mark.usefixtures("database", "index")
async def test_silent_database_does_not_suffice(settings: Settings) -> None:
    async with dependency_proxies(settings) as dependencies, serving(dependencies.settings) as api:
        assert await code(api) == "ok"
        await dependencies["elasticsearch"].switch(Mode.CUT)
        assert await code(api) == "ok"
        await dependencies["postgres"].switch(Mode.STALL)
        assert await code(api) == "unavailable"
        await dependencies["postgres"].switch(Mode.PASS)
        await eventually(lambda: has_code(api, "ok"))


@pytest.mark.usefixtures("database", "index")
async def test_database_suffices_after_startup_grace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lifecycle.required_backends.STARTUP_GRACE_SECONDS", 0.3)
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        await proxy.switch(Mode.CUT)
        async with serving(settings.model_copy(update={"elasticsearch_url": proxy.url})) as api:
            assert await code(api) == "unavailable"
            await eventually(lambda: has_code(api, "ok"))


@pytest.mark.usefixtures("database")
async def test_missing_index_is_not_ready_after_grace(unbuilt: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lifecycle.required_backends.STARTUP_GRACE_SECONDS", 0.0)
    async with serving(unbuilt) as api:
        assert await code(api) == "no_index"


@pytest.mark.usefixtures("database", "index")
async def test_process_without_its_index_is_not_ready_beside_other_release(
    settings: Settings, es: AsyncElasticsearch
) -> None:
    name, other = f"{settings.elasticsearch_alias}-readiness", f"{settings.elasticsearch_alias}-v999"
    async with serving(settings) as api:
        assert await code(api) == "ok"
        await es.indices.update_aliases(
            actions=[
                {"remove": {"index": name, "alias": settings.search_alias}},
                {"add": {"index": name, "alias": other}},
            ]
        )
        # A check that started before the change may still be under way, and is shared.
        await eventually(lambda: has_code(api, "no_index"))
        await es.indices.delete_alias(index=name, name=other)
        await eventually(lambda: has_code(api, "ok"))


@pytest.mark.usefixtures("index")
async def test_process_whose_index_is_not_fed_is_not_ready(
    settings: Settings, database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change waits for a worker of this release, and none runs."""
    monkeypatch.setattr("app.backends.index_freshness.POLL_SECONDS", 0.05)
    async with serving(settings) as api:
        assert await code(api) == "ok"
        async with database.begin() as connection:
            await connection.execute(WAITING_COPY, {"version": str(DOCUMENT_VERSION)})

        await eventually(lambda: has_code(api, "no_index"))
        assert (await api.get("/api/health")).json()["dependencies"]["elasticsearch"] == "stale"
        response = await api.post("/api/v2/recommendations", json={})
        assert response.status_code == 200
        assert "Answered from the database" in response.headers["warning"]
        async with database.begin() as connection:
            await connection.execute(text("DELETE FROM smarttrip.outbox_copies"))
        await eventually(lambda: has_code(api, "ok"))


WAITING_COPY = text(
    "INSERT INTO smarttrip.outbox_copies (document_version, row_id, created_at)"
    " VALUES (:version, 1, now() - interval '1 minute')"
)
