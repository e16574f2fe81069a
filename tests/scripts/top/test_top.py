"""`smarttrip top` of a running API."""

import asyncio
import json

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.support.api.serve_process import serve_process
from tests.support.command import smarttrip
from tests.support.http_client import http_client


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


def test_processes_that_cannot_be_read_are_named() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    top = smarttrip("top", "--once", "--address", address)
    assert top.returncode == ExitCode.NOT_RUNNING
    assert address in top.stderr
