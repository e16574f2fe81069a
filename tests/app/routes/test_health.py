import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy import Engine, event
from structlog.testing import capture_logs

from app.backends.database import Database, ReadSession
from app.backends.index_freshness import IndexFreshnessMonitor
from app.lifecycle.health import DEPENDENCY_TIMEOUT
from core.configuration.settings import Settings
from schemas.api.health import Health
from tests.conftest import drop_indices
from tests.support.api.serving import serving
from tests.support.api.silent_server import silent_server
from tests.support.dependency_proxies import dependency_proxies
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import Mode
from tests.support.statements import Statements

PATH = "/api/health"
PING = "SELECT 1"
"""What Postgres is asked whether or not the counts are cached."""
UP = {"postgres": "up", "redis": "up", "elasticsearch": "up"}


@pytest.fixture
async def index(es: AsyncElasticsearch, settings: Settings) -> AsyncIterator[None]:
    """The only index with the alias: one that another test left would be closed too, and stay closed."""
    await drop_indices(settings)
    name = f"{settings.elasticsearch_alias}-health"
    await es.indices.create(index=name, aliases={settings.search_alias: {}})
    yield
    await es.indices.delete(index=name)


async def health(api: httpx2.AsyncClient, status: int = 200) -> dict[str, Any]:
    response = await api.get(PATH)
    assert response.status_code == status
    Health.model_validate_json(response.content)
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.usefixtures("index")
async def test_closed_index_is_named(api: httpx2.AsyncClient, es: AsyncElasticsearch, settings: Settings) -> None:
    await es.indices.close(index=settings.search_alias)
    with capture_logs() as logs:
        body = await health(api)
    assert (body["status"], body["dependencies"]["elasticsearch"]) == ("degraded", "closed")
    assert [line["cure"] for line in logs if line["event"] == "index_closed"] == [
        f"a worker opens it within half a minute; else POST /{settings.search_alias}*/_open"
    ]


@pytest.mark.usefixtures("index")
async def test_service_is_healthy(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    await catalogue.occurrence(trip_template_id=await catalogue.template(tags=[await catalogue.tag()]))
    await catalogue.country()
    body = await health(api)
    assert body.pop("version")
    assert body == {
        "status": "healthy",
        "service": "SmartTrip API",
        "schema": "2.3",
        "database": {
            "trip_occurrences": 1,
            "trip_templates": 1,
            "countries": 1,
            "guides": 0,
            "tags": 1,
            "trip_types": 0,
        },
        "dependencies": UP,
        "breakers": {"postgres": "closed", "redis": "closed", "elasticsearch": "closed"},
    }


async def test_service_is_degraded_without_index(settings: Settings, api: httpx2.AsyncClient) -> None:
    await drop_indices(settings)
    body = await health(api)
    assert (body["status"], body["dependencies"]) == ("degraded", {**UP, "elasticsearch": "no_index"})


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_row_counts_are_cached(settings: Settings, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("app.lifespan.HEALTH_SECONDS", seconds)

    async def no_check(monitor: IndexFreshnessMonitor) -> None:
        """In place of a periodic one, which has statements of its own."""

    monkeypatch.setattr(IndexFreshnessMonitor, "check", no_check)
    statements: Statements = []

    def record(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    async with serving(settings) as api:
        await health(api)
        event.listen(Engine, "before_cursor_execute", record)
        try:
            await health(api)
        finally:
            event.remove(Engine, "before_cursor_execute", record)
    assert set(statements) <= {PING}


@pytest.mark.usefixtures("database", "index")
async def test_callers_share_one_check_a_second(api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check takes a connection of the pool, from which requests could not be served."""
    checks = 0
    read = Database.read

    def count_and_read(database: Database) -> AbstractAsyncContextManager[ReadSession]:
        nonlocal checks
        checks += 1
        return read(database)

    monkeypatch.setattr(Database, "read", count_and_read)
    responses = await asyncio.gather(*(api.get(PATH) for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert checks <= 2


@asynccontextmanager
async def broken(settings: Settings, port: int, *names: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Run the application with the named dependencies at a port that is closed, or that never responds."""
    urls = {
        "database_url": f"postgresql+asyncpg://app@127.0.0.1:{port}/postgres",
        "redis_url": f"redis://127.0.0.1:{port}/0",
        "elasticsearch_url": f"http://127.0.0.1:{port}",
    }
    async with serving(settings.model_copy(update={name: urls[name] for name in names})) as api:
        yield api


@pytest.mark.usefixtures("database", "index")
@pytest.mark.parametrize(
    ("setting", "name"),
    [("database_url", "postgres"), ("redis_url", "redis"), ("elasticsearch_url", "elasticsearch")],
)
async def test_degraded_service_names_the_dependency(
    settings: Settings, unused_tcp_port: int, setting: str, name: str
) -> None:
    async with broken(settings, unused_tcp_port, setting) as api:
        body = await health(api)
    assert (body["status"], body["dependencies"]) == ("degraded", {**UP, name: "down"})


@pytest.mark.usefixtures("database")
async def test_service_is_unhealthy_without_database_and_index(settings: Settings, unused_tcp_port: int) -> None:
    async with broken(settings, unused_tcp_port, "database_url", "elasticsearch_url") as api:
        body = await health(api, 503)
        assert int((await api.get(PATH)).headers["retry-after"]) > 0
    assert body["status"] == "unhealthy"
    assert set(body["database"].values()) == {None}


@pytest.mark.usefixtures("database")
async def test_silent_dependency_is_down_after_timeout(settings: Settings) -> None:
    async with (
        silent_server() as port,
        broken(settings, port, "database_url", "redis_url", "elasticsearch_url") as api,
    ):
        response = await api.get(PATH)
    assert response.status_code == 503
    assert set(response.json()["dependencies"].values()) == {"down"}
    assert response.elapsed.total_seconds() < 2 * DEPENDENCY_TIMEOUT


@pytest.mark.usefixtures("index")
async def test_database_that_becomes_silent_is_down(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lifespan.HEALTH_SECONDS", 0.0)
    async with dependency_proxies(settings) as dependencies, serving(dependencies.settings) as api:
        assert (await health(api))["dependencies"] == UP
        await dependencies["postgres"].switch(Mode.STALL)
        for _ in range(3):
            assert (await health(api))["dependencies"] == {**UP, "postgres": "down"}
        await dependencies["postgres"].switch(Mode.PASS)
        await eventually(lambda: is_healthy(api))


async def is_healthy(api: httpx2.AsyncClient) -> bool:
    return bool((await health(api))["status"] == "healthy")


async def test_root_returns_name_and_version(api: httpx2.AsyncClient) -> None:
    body = (await api.get("/")).json()
    assert (body["status"], body["service"]) == ("ok", "SmartTrip API")
