"""`smarttrip user`, as a person at a terminal uses it."""

import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from core.configuration.settings import Settings
from schemas.tables import User
from scripts.cli import app
from scripts.errors import CliError, ExitCode
from tests.support.command import environment, smarttrip
from tests.support.rows import rows
from tests.support.tracking.people import BEN, DANA, NOA, three_people

NOTHING = "Nothing is stored about this address."


def run(settings: Settings, *arguments: str) -> Any:
    env = environment(
        DATABASE_URL=settings.database_url.replace("+asyncpg", ""),
        REDIS_URL=settings.redis_url,
        ELASTICSEARCH_URL=settings.elasticsearch_url,
        BACKGROUND_POOL_SECONDS="0.1",
        POSTGRES_CONNECT_SECONDS="1",
    )
    return smarttrip("user", *arguments, env=env)


async def test_person_is_exported_erased_and_then_unknown(settings: Settings, database: AsyncEngine) -> None:
    await three_people(database)

    told = run(settings, "export", "Dana@Example.org")
    assert told.returncode == 0
    stored = json.loads(told.stdout)
    assert stored["users"][0]["email"] == DANA
    assert len(stored["recommendation_requests"]) == 2
    (line,) = told.stderr.splitlines()
    assert json.loads(line)["event"] == "user_exported"
    assert "dana" not in line.lower()

    erased = run(settings, "erase", "Dana@Example.org", "--yes")
    assert erased.returncode == 0
    assert "1  users" in erased.stdout
    (line,) = erased.stderr.splitlines()
    assert json.loads(line)["event"] == "user_erased"
    assert "dana" not in line.lower()

    again = run(settings, "erase", DANA, "--yes")
    assert (again.returncode, again.stdout, again.stderr) == (0, f"{NOTHING}\n", "")
    unknown = run(settings, "export", DANA)
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (ExitCode.NOTHING_STORED, "", f"{NOTHING}\n")


@pytest.fixture
def in_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in ("database_url", "redis_url", "elasticsearch_url"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    return CliRunner()


async def test_erase_needs_confirmation(in_process: CliRunner, database: AsyncEngine) -> None:
    await three_people(database)
    for answer in ("n\n", "\n", ""):
        result = in_process.invoke(app, ["user", "erase", DANA], input=answer)
        assert result.exit_code == 1
        assert "can't be undone" in result.output
    assert [row.email for row in await rows(database, User)] == [DANA, BEN, NOA]


def test_missing_input_is_no_interrupt(in_process: CliRunner) -> None:
    result = in_process.invoke(app, ["user", "erase", DANA], input="")
    assert isinstance(result.exception, CliError)
    assert result.exception.code == ExitCode.USAGE
    assert str(result.exception) == ("Nothing was erased. There is no input to confirm with: --yes answers in advance.")


@pytest.mark.parametrize("command", [["export"], ["erase", "--yes"]])
@pytest.mark.parametrize("address", ["dana", "", "dana@", "a@b@c", "x" * 300 + "@example.org"])
def test_invalid_address_exits_with_2(in_process: CliRunner, command: list[str], address: str) -> None:
    wrong = in_process.invoke(app, ["user", *command, address])
    assert wrong.exit_code == ExitCode.USAGE
    assert "should be an e-mail address" in wrong.output


@pytest.mark.parametrize("url", ["DATABASE_URL", "REDIS_URL"])
async def test_failed_erase_leaves_everything(
    settings: Settings, database: AsyncEngine, url: str, unused_tcp_port: int
) -> None:
    await three_people(database)
    nowhere = {
        "DATABASE_URL": f"postgresql+asyncpg://nobody@127.0.0.1:{unused_tcp_port}/none",
        "REDIS_URL": f"redis://127.0.0.1:{unused_tcp_port}/0",
    }[url]
    failed = run(settings.model_copy(update={url.lower(): nowhere}), "erase", DANA, "--yes")
    assert failed.returncode == 3
    assert len(failed.stderr.splitlines()) == 1
    assert [row.email for row in await rows(database, User)] == [DANA, BEN, NOA]
