"""`smarttrip serve` in a process of its own, which tests may signal."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2

from core.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually

SMARTTRIP = Path(sys.executable).with_name("smarttrip")


@dataclass(frozen=True)
class Serving:
    process: asyncio.subprocess.Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def environment(settings: Settings, **others: str) -> dict[str, str]:
    """The settings' services and what else is named, for a process to read."""
    return {
        **os.environ,
        "DATABASE_URL": settings.database_url.replace("+asyncpg", ""),
        "REDIS_URL": settings.redis_url,
        "ELASTICSEARCH_URL": settings.elasticsearch_url,
        "ELASTICSEARCH_ALIAS": settings.elasticsearch_alias,
        "TODAY": str(settings.today or ""),
        "RATE_LIMIT_ENABLED": "false",
        **others,
    }


@asynccontextmanager
async def serve_process(settings: Settings, *, port: int | None = None, **others: str) -> AsyncIterator[Serving]:
    """Alive, not necessarily ready; killed at the end if it still runs."""
    port = port or free_port()
    # What a killed process leaves goes with this, though its workers may still be ending.
    with TemporaryDirectory(ignore_cleanup_errors=True) as leftovers:
        process = await asyncio.create_subprocess_exec(
            SMARTTRIP,
            "serve",
            "--port",
            str(port),
            env=environment(settings, TMPDIR=leftovers, **others),
            stderr=asyncio.subprocess.DEVNULL,
        )
        serving = Serving(process, port)
        try:
            await eventually(lambda: answers(f"{serving.url}/livez"), within=60)
            yield serving
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def answers(url: str) -> bool:
    async with httpx2.AsyncClient() as client:
        try:
            return (await client.get(url)).status_code == 200
        except httpx2.TransportError:
            return False
