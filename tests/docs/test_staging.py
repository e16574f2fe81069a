"""The commands of the guide to staging work, in their order, and leave nothing of staging and all of production."""

import os
import sys
from pathlib import Path

import pytest
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts import sample_data
from scripts.dev_stack.ports import free_port
from tests.conftest import TODAY
from tests.docs.documents import text
from tests.docs.test_tutorial import run
from tests.support.processes import environment

GUIDE = "docs/how-to/staging.md"
STRICT = "set -eu\ntrap 'kill $(jobs -p) || true' EXIT\n"
STAGING_DATABASES = "SELECT count(*) FROM pg_database WHERE datname = current_database() || '_staging'"


def commands(port: int) -> str:
    """Return the indented lines, each of which is a command."""
    lines = [line[4:] for line in text(GUIDE).splitlines() if line.startswith("    ")]
    return STRICT + "\n".join(lines).replace("5001", str(port))


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_commands_of_the_guide_work(
    settings: Settings, database: AsyncEngine, redis: Redis, es: AsyncElasticsearch, tmp_path: Path
) -> None:
    await sample_data.seed(settings.database_url, 300, today=TODAY)
    await redis.set("kept", 1)
    env = environment(settings) | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    output = await run(commands(free_port()), tmp_path, env)

    for line in ("departures compared", ": 0 differ.", '"match_score"', "is in use again", "is dropped"):
        assert line in output, line
    written = (tmp_path / "staging.env").read_text()
    assert f"export ELASTICSEARCH_ALIAS=staging_{settings.elasticsearch_alias}" in written
    assert (tmp_path / "staging.env").stat().st_mode & 0o077 == 0
    assert not await es.indices.get(index=f"staging_{settings.elasticsearch_alias}*", expand_wildcards="all")
    assert await redis.keys("*") == [b"kept"]
    async with database.connect() as connection:
        assert await connection.scalar(sql("SELECT count(*) FROM trip_occurrences")) == 300
        assert not await connection.scalar(sql(STAGING_DATABASES))
