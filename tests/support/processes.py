"""`smarttrip` processes for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.api.serve_process import SMARTTRIP

NOWHERE = Path("/dev/null")


@asynccontextmanager
async def running(env: Mapping[str, str], *command: str, log: Path = NOWHERE) -> AsyncIterator[None]:
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(SMARTTRIP, *command, env=env, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
