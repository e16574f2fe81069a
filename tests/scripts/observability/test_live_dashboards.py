"""Queries of dashboards and rules, asked of a real Prometheus that scrapes a running installation under load."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.prometheus import configure, server_command
from tests.conftest import TODAY, drop_indices, empty, plain
from tests.scripts.observability.queries import panel_queries, rule_queries, rules, series_of
from tests.scripts.observability.scenarios import HEALTHY
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import running_process, worker_process
from tests.support.sync import execute, ignore_progress

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus: apt-get install prometheus"),
]

EVENT = {"event_type": "page_view", "session_id": "00000000-0000-4000-8000-000000000001"}


@pytest.fixture(scope="module")
async def prometheus(
    settings: Settings, engine: AsyncEngine, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a Prometheus that scrapes API and worker every second, while they are used."""
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, 200, today=TODAY)
    await drop_indices(settings)
    await reindex(settings, ignore_progress)
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    # The primary itself is no replica of it: it is left out, which suffices for its series.
    replicas = plain(settings.database_url)
    async with (
        serve_process(settings, WORKERS="2", DATABASE_REPLICA_URLS=replicas) as api,
        worker_process(settings) as worker,
    ):
        await api.wait_until_responding("/readyz")
        await worker.wait_until_responding("/readyz")
        command = server_command(every_second(folder, api.port, worker.port), folder, port)
        async with running_process(command, os.environ, port=port) as process, http_client(process.url) as client:
            await process.wait_until_responding("/-/ready")
            load = asyncio.create_task(generate_traffic(api.url, engine))
            try:
                yield client
            finally:
                load.cancel()


def every_second(folder: Path, api: int, worker: int) -> Path:
    """Write the configuration of deploy/ with one second between scrapes and evaluations; return its path."""
    processes = {"api": f"127.0.0.1:{api}", "worker": f"127.0.0.1:{worker}"}
    file = configure(folder, processes, folder / "no-alertmanagers.json")
    for path in file.parent.rglob("*.yml"):
        text = path.read_text()
        for seconds in ("15s", "30s"):
            text = text.replace(f"interval: {seconds}", "interval: 1s")
        path.write_text(text)
    return file


async def generate_traffic(url: str, engine: AsyncEngine) -> None:
    """Send searches, reads and events, and change departures, until cancelled."""
    async with http_client(url) as client:
        while True:
            await client.post("/api/v2/recommendations", json={})
            await client.get("/api/countries")
            await client.get("/api/countries/987654")
            await client.post("/api/events", json=EVENT)
            await execute(engine, "UPDATE trip_occurrences SET spots_left = spots_left WHERE id < 5")
            await asyncio.sleep(0.2)


async def test_every_panel_shows_series(prometheus: httpx2.AsyncClient) -> None:
    await all_have_series(prometheus, panel_queries())


async def test_every_series_that_a_query_selects_exists(prometheus: httpx2.AsyncClient) -> None:
    """An alert has no result where all is well; what it selects is there nevertheless."""
    queries = [*panel_queries().values(), *rule_queries().values(), *map(without_instance, HEALTHY)]
    await all_have_series(prometheus, {series: series for query in queries for series in series_of(query)})


async def test_prometheus_evaluates_every_rule(prometheus: httpx2.AsyncClient) -> None:
    healths: list[str] = []

    async def all_evaluated() -> bool:
        response = await prometheus.get("/api/v1/rules")
        groups = response.json()["data"]["groups"]
        healths[:] = [rule["health"] for group in groups for rule in group["rules"]]
        errors = [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
        assert not errors
        return "unknown" not in healths

    await eventually(all_evaluated, within=90)
    assert healths == ["ok"] * len(rules())


async def all_have_series(prometheus: httpx2.AsyncClient, queries: Mapping[str, str]) -> None:
    """Ask the queries, given by a name, until each has had a result. Fails where one is refused or has none."""
    missing = dict(queries)

    async def all_found() -> bool:
        for name, query in [*missing.items()]:
            response = await prometheus.get("/api/v1/query", params={"query": query})
            assert response.status_code == 200, f"{name}: {response.text}"
            if response.json()["data"]["result"]:
                del missing[name]
        return not missing

    try:
        await eventually(all_found, within=90)
    except AssertionError as error:
        pytest.fail(f"{error}; without series: {sorted(missing)}")


def without_instance(series: str) -> str:
    """Leave the address of a process and its version out of a selector."""
    return re.sub(r'(, )?(instance|document_version)="[^"]*"', "", series)
