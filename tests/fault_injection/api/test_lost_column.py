"""A column that everything needs is renamed while the API runs: 503, a log of a few lines, and recovery by itself."""

import json
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import SMARTTRIP, environment, running_process
from tests.support.sync import execute

REQUESTS = 200
MAX_LINES = 20

RENAME = "ALTER TABLE trip_occurrences RENAME COLUMN {} TO {}"


async def test_lost_column_costs_503_and_a_few_lines(settings: Settings, database: AsyncEngine, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = (SMARTTRIP, "serve", "--port", str(port))
    async with running_process(command, environment(settings), port=port, output=log) as serving:
        await serving.wait_until_responding()
        before = log.read_text()
        async with http_client(serving.url) as api:
            await execute(database, RENAME.format("start_date", "starts_on"))
            try:
                for number in range(REQUESTS):
                    response = await api.get(f"/api/v2/occurrences?offset={number}")
                    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
            finally:
                await execute(database, RENAME.format("starts_on", "start_date"))
            assert (await api.get("/api/v2/occurrences?offset=0")).status_code == 200
        await eventually(lambda: "start_date does not exist" in log.read_text())
        lines = [json.loads(line) for line in log.read_text().removeprefix(before).splitlines()]
    serious = [line for line in lines if line["level"] in ("warning", "error")]
    assert len(serious) <= MAX_LINES
    assert sum(line["event"] == "database_differs" for line in serious) == 1
    assert all(len(json.dumps(line)) < 2000 for line in serious)
