"""API and worker say at their start what of the servers is not as the release needs it; the worker measures it."""

import json
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.valkey import VALKEY
from scripts.drill.servers import server
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import SMARTTRIP, WORKER, environment, running_process
from tests.support.sync import execute

DIFFERENCES = (
    ("redis", "maxmemory-policy allkeys-lru"),
    ("redis", "appendonly no"),
    ("postgres", "The setting max_connections of Postgres leaves"),
    ("database", "The trigger smarttrip_update of trip_occurrences is missing or disabled"),
)


def logged(log: Path) -> set[tuple[str, str]]:
    """Return part and sentence of the differences in a log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {(line["part"], line["difference"]) for line in lines if line["event"] == "server_differs"}


@pytest.mark.parametrize("command", [WORKER, (SMARTTRIP, "serve")], ids=["worker", "API"])
async def test_differences_are_logged_and_measured(
    settings: Settings, database: AsyncEngine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    port, log = free_port(), tmp_path / "log"
    async with server(VALKEY) as own, clients.redis(own.url, timeout=5) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        await redis.config_set("appendonly", "no")
        await execute(database, "ALTER TABLE trip_occurrences DISABLE TRIGGER smarttrip_update")
        variables = {"REDIS_URL": own.url, "POSTGRES_CONNECTIONS": "900", "PORT": str(port), "WORKER_PORT": str(port)}
        try:
            async with running_process(command, environment(settings, **variables), port=port, output=log) as running:
                await eventually(lambda: all(_has(log, *expected) for expected in DIFFERENCES), within=60)
                if command == WORKER:
                    async with http_client(running.url) as api:
                        assert 'smarttrip_preflight_differences{part="redis"} 2.0' in (await api.get("/metrics")).text
        finally:
            await execute(database, "ALTER TABLE trip_occurrences ENABLE TRIGGER smarttrip_update")


def _has(log: Path, part: str, words: str) -> bool:
    return any(found == part and words in sentence for found, sentence in logged(log))
