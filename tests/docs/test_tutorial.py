"""The commands of the tutorial work, in their order, and show what it promises."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.conftest import fresh_database
from tests.docs.documents import text
from tests.support.processes import environment

TUTORIAL = "docs/tutorials/first-steps.md"
STRICT = "set -eu\ntrap 'kill $(jobs -p)' EXIT\n"
WAITING = 'psql "$DATABASE_URL" -Atc "SELECT count(*) FROM smarttrip.outbox"'
PAUSE = f'until [ "$({WAITING})" = 0 ]; do sleep 0.2; done\nsleep 1\n'
"""The tutorial waits for a second, which is not enough while other tests keep the machine busy."""


def commands(port: int) -> str:
    """Return the indented blocks from the catalogue on; the services are those of the tests."""
    _, _, rest = text(TUTORIAL).partition("## 3. ")
    lines = [line[4:] for line in re.sub(r"```.*?```", "", rest, flags=re.DOTALL).splitlines() if line[:4] == "    "]
    script = "\n".join(line for line in lines if not line.startswith(("smarttrip stack", "kill ")))
    return STRICT + script.replace("localhost:5000", f"localhost:{port}").replace("\nsleep 1\n", f"\n{PAUSE}")


async def run(script: str, folder: Path, env: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_tutorial_can_be_followed(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    await redis.flushdb()
    name = f"{make_url(settings.database_url).database}_tutorial"
    own = settings.model_copy(
        update={
            "database_url": await fresh_database(settings.database_url, name),
            "elasticsearch_alias": f"{settings.elasticsearch_alias}_tutorial",
        }
    )
    port = free_port()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    output = await run(commands(port), tmp_path, environment(own, PORT=str(port), PATH=path, RATE_LIMIT_ENABLED="true"))

    assert '"match_score"' in (tmp_path / "first.json").read_text()
    assert re.search(r'"success":true,"event_id"', output)
    (sold_out,) = re.findall(r"^\[(.*)\]$", output, re.MULTILINE)
    first = re.findall(r'"data":\[\{"id":(\d+)', (tmp_path / "first.json").read_text())
    assert first
    assert first[0] not in sold_out.split(", ")
    assert "UPDATE 1" in output
    assert re.search(r"5,000 departures compared in .* s: 0 differ\.", output)
