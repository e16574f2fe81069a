"""The commands of the guide to gradual rollouts work, in their order, and show what it promises."""

import os
import re
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from tests.app.conftest import ADMIN_KEY
from tests.conftest import TODAY
from tests.docs.documents import text
from tests.docs.test_tutorial import run
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.processes import environment

GUIDE = "docs/how-to/roll-out-gradually.md"


RELEASE = "## A changed mapping"


def commands(text: str) -> str:
    """Return the indented lines, each of which is a command."""
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    return "set -eu\n" + "".join(f"{line}\n" for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_commands_of_the_guide_work(settings: Settings, database: AsyncEngine, tmp_path: Path) -> None:
    await sample_data.seed(settings.database_url, 300, today=TODAY)
    await reindex(settings, lambda _progress: None)
    # Without a cache there is no fallback for slow searches, of which a busy machine has some.
    patient = {"answer_cache_seconds": 0, "elasticsearch_seconds": 30}
    own = settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY), "rate_limit_enabled": False, **patient})
    env = environment(settings) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ADMIN_KEY": ADMIN_KEY,
        "ELASTICSEARCH_SECONDS": "30",
    }
    with uvicorn_serving(own) as api:
        output = await run(commands(text(GUIDE).partition(RELEASE)[0]), tmp_path, env | {"API": api})
    assert "x-scoring-weights: summer@1" in output
    assert re.search(r"^scores +1$", output, re.MULTILINE)
    assert '"same": 2' in output
    assert "candidate: summer@1 for 10 % of the clients" in output
    for line in ("summer@1 answers 50 % of the clients", "stable: summer@1\nNo rollout is running."):
        assert line in output
    assert "stable: platform\nNo rollout is running." in output.partition("answers no client any more")[2]
    assert "rolled_back by" in output
    assert "fewer bookings" in output
