"""`smarttrip top` of a running API."""

import asyncio
import json

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.support.api.serve_process import serve_process
from tests.support.command import smarttrip
from tests.support.http_client import http_client
from tests.support.processes import worker_process


async def test_top_shows_what_happens_now(settings: Settings) -> None:
    async with serve_process(settings) as api, http_client(api.url) as client:

        async def use() -> None:
            while True:
                await client.get("/api/v2/schema-info")
                await asyncio.sleep(0.05)

        using = asyncio.create_task(use())
        absent = f"http://127.0.0.1:{free_port()}"
        both = ("--address", api.url, "--address", absent)
        try:
            page = await asyncio.to_thread(smarttrip, "top", "--once", "--address", api.url)
            line = await asyncio.to_thread(smarttrip, "top", "--once", "--json", "--interval", "2.5", *both)
        finally:
            using.cancel()
    assert (page.returncode, page.stderr) == (0, "")
    assert "/api/v2/schema-info" in page.stdout
    summary = json.loads(line.stdout)
    assert summary["requests"]["/api/v2/schema-info"]["rate"] > 0
    assert summary["breakers"]["postgres"] == "closed"
    assert list(summary["failures"]) == [absent]


@pytest.mark.slow
async def test_top_shows_all_processes_at_once(settings: Settings, database: AsyncEngine) -> None:
    async with serve_process(settings, WORKERS="2") as api, worker_process(settings) as worker:
        await worker.wait_until_responding("/readyz")
        both = ("--address", api.url, "--address", worker.url)
        top = await asyncio.to_thread(smarttrip, "top", "--once", "--json", *both)
        page = await asyncio.to_thread(smarttrip, "top", "--once", *both)
    summary = json.loads(top.stdout)
    assert summary["failures"] == {}
    assert summary["requests"]["/metrics"]["rate"] > 0
    assert summary["index"]["outbox_rows"] == 0
    assert summary["events"]["waiting"] == 0
    assert summary["processes"]["memory"] > 0
    assert (page.returncode, page.stderr) == (0, "")


def test_processes_that_cannot_be_read_are_named() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    top = smarttrip("top", "--once", "--address", address)
    assert top.returncode == ExitCode.NOT_RUNNING
    assert address in top.stderr
