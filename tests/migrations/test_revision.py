"""Processes refuse a database that lacks revisions of this release."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory
from structlog.testing import capture_logs
from typer.testing import CliRunner

import migrations
from app.server import run
from core.logs import configuration
from indexer import worker
from migrations import MigrationError, revision
from migrations.revision import read_order
from scripts.cli import app
from scripts.dev_stack.ports import free_port
from tests.docs.documents import ROOT
from tests.migrations.databases import execute

SCRIPT = ScriptDirectory(str(ROOT / "migrations"))
BEHIND = [known.revision for known in SCRIPT.walk_revisions() if not known.is_head]
COMMANDS = ("serve", "worker")


def test_revisions_are_read_as_alembic_orders_them() -> None:
    assert read_order() == {known.revision: known.down_revision for known in SCRIPT.walk_revisions()}


def test_file_without_a_revision_is_named(tmp_path: Path) -> None:
    (tmp_path / "r1_first.py").write_text('revision = "r1_first"\ndown_revision = None\n')
    (tmp_path / "notes.py").write_text("# Not a revision.\n")
    with pytest.raises(MigrationError, match=r"notes\.py is no revision: it lacks a line such as"):
        read_order(tmp_path)


def test_two_last_revisions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "read_order", lambda: {"r1": None, "r2_mine": "r1", "r2_yours": "r1"})
    with pytest.raises(MigrationError, match="The revisions r2_mine, r2_yours all come last"):
        revision._require_newest({"r1"})


async def test_process_refuses_a_database_that_is_behind(monkeypatch: pytest.MonkeyPatch, platform_url: str) -> None:
    for applied in (None, *reversed(BEHIND)):
        if applied:
            await asyncio.to_thread(migrations.upgrade, platform_url, applied)
        for command in COMMANDS:
            result = await run_command(monkeypatch, platform_url, command)
            assert isinstance(result, MigrationError), (applied, command)
            assert "run: smarttrip migrate" in str(result), (applied, command)


@pytest.mark.parametrize("command", COMMANDS)
async def test_process_refuses_a_database_without_our_tables(
    monkeypatch: pytest.MonkeyPatch, platform_url: str, command: str
) -> None:
    await asyncio.to_thread(migrations.upgrade, platform_url)
    await execute(platform_url, "DROP TABLE smarttrip.job_runs")
    result = await run_command(monkeypatch, platform_url, command)
    assert isinstance(result, MigrationError)
    assert str(result) == "The table smarttrip.job_runs is missing, or this role may not see it."


@pytest.mark.parametrize("command", COMMANDS)
async def test_process_starts_on_a_database_of_this_release_or_a_later_one(
    monkeypatch: pytest.MonkeyPatch, platform_url: str, command: str
) -> None:
    await asyncio.to_thread(migrations.upgrade, platform_url)
    assert await run_command(monkeypatch, platform_url, command) is None
    await execute(platform_url, "UPDATE smarttrip.alembic_version SET version_num = 'of_the_next_release'")
    assert await run_command(monkeypatch, platform_url, command) is None


@pytest.mark.parametrize("command", COMMANDS)
async def test_process_starts_while_postgres_is_down(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    assert await run_command(monkeypatch, "postgresql://user@127.0.0.1:1/db", command) is None


async def run_command(monkeypatch: pytest.MonkeyPatch, url: str, command: str) -> BaseException | None:
    """Run a command up to the point where its process would start; return the error that it raises."""
    monkeypatch.setenv("DATABASE_URL", url.replace("+asyncpg", ""))
    # Other databases of the tests have marked the keys without a prefix as theirs.
    monkeypatch.setenv("REDIS_PREFIX", f"{uuid4().hex}:")
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setattr(run, "serve", lambda settings: None)
    monkeypatch.setattr(worker, "run", lambda settings: None)
    monkeypatch.setattr(configuration, "configure_logs", lambda level, log_format: None)
    with capture_logs():
        result = await asyncio.to_thread(CliRunner().invoke, app, [command])
    return result.exception
