"""The commands of the guide to the move from the old backend that need no gateway work."""

import os
import sys
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import insert
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import RecommendationRequest
from scripts.errors import ExitCode
from tests.conftest import fresh_database, plain
from tests.docs.documents import text
from tests.docs.test_tutorial import run
from tests.scripts.replay.test_personal_data import row
from tests.support.api.old_backend import old_backend
from tests.support.processes import environment

GUIDE = "docs/how-to/move-from-the-old-backend.md"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def command(beginning: str) -> str:
    """Return the one command of the guide that begins so."""
    (line,) = [line[4:] for line in text(GUIDE).splitlines() if line.startswith(f"    {beginning}")]
    return line


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_logged_searches_are_compared_with_the_old_backend(
    settings: Settings, database: AsyncEngine, tmp_path: Path
) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(RecommendationRequest), [row({"budget": 900}), row({"budget": 90})])
    async with old_backend() as old:
        env = environment(settings, PATH=PATH, OLD=old.url, API=old.url)
        await run(command("smarttrip replay"), tmp_path, env)
        assert old.bodies == [{"budget": 900.0}] * 2 + [{"budget": 90.0}] * 2
    assert '"searches": 2' in (tmp_path / "differences.json").read_text()
    gone = f"{command('smarttrip replay')} || exit $(($? == {ExitCode.UNANSWERED} ? 0 : 1))"
    await run(gone, tmp_path, env)
    assert '"unanswered": 2' in (tmp_path / "differences.json").read_text()


@pytest.mark.slow
async def test_way_back_removes_what_was_added_to_the_database(settings: Settings, tmp_path: Path) -> None:
    name = f"{make_url(settings.database_url).database}_moved"
    url = await fresh_database(settings.database_url, name)
    await run("smarttrip migrate", tmp_path, environment(settings.model_copy(update={"database_url": url}), PATH=PATH))
    connection = await asyncpg.connect(plain(url))
    try:
        added = "SELECT to_regclass('smarttrip.outbox') IS NOT NULL, to_regclass('trip_occurrences') IS NOT NULL"
        assert [tuple(found) for found in await connection.fetch(added)] == [(True, True)]
        env = environment(settings, PATH=PATH) | dict.fromkeys(("DATABASE_URL", "DATABASE_DIRECT_URL"), plain(url))
        await run(command("python -c"), tmp_path, env)
        assert [tuple(found) for found in await connection.fetch(added)] == [(False, True)]
    finally:
        await connection.close()
