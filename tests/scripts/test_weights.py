"""`smarttrip weights`, as a person at a terminal uses it."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from core.configuration.settings import Settings
from scripts.cli import app
from scripts.commands.errors import describe_error
from scripts.errors import ExitCode
from tests.support.command import smarttrip


@pytest.fixture
def cli(settings: Settings, database: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in ("database_url", "redis_url", "elasticsearch_url"):
        monkeypatch.setenv(name.upper(), getattr(settings, name))
    return CliRunner()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "summer.json"
    path.write_text('{"country": 25, "no_themes": -20}')
    return path


async def test_set_is_added_listed_and_shown(cli: CliRunner, file: Path) -> None:
    def run(*arguments: str) -> Result:
        return cli.invoke(app, ["weights", *arguments])

    added = await asyncio.to_thread(run, "add", "summer", str(file), "--by", "dana", "--comment", "countries first")
    assert (added.exit_code, added.output) == (0, "summer@1\n")
    again = await asyncio.to_thread(run, "add", "summer", str(file), "--json")
    assert json.loads(again.output)["reference"] == "summer@2"
    listed = (await asyncio.to_thread(run, "list")).output.splitlines()
    assert [line.split()[0] for line in listed] == ["platform", "summer@1", "summer@2"]
    assert listed[1].endswith("dana: countries first no_themes -20 instead of -15, country 25 instead of 15")
    shown = json.loads((await asyncio.to_thread(run, "show", "summer@1", "--json")).output)
    assert (shown["points"]["country"], shown["points"]["base"]) == (25, 30)
    missing = await asyncio.to_thread(run, "show", "winter@1")
    assert isinstance(missing.exception, Exception)
    expected = describe_error(missing.exception)
    assert expected == ("There is no weight set winter@1.", ExitCode.NO_SUCH_SET)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "should be a JSON object; it is no JSON from line 1, column 2 on."),
        ("[]", "should be an object of points by rule"),
        ('{"country": 25, "country": 26}', "country should be given once."),
        ('{"country": -1}', "country should be a whole number from 0 to 100."),
    ],
)
def test_wrong_file_is_named_in_a_sentence(cli: CliRunner, tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(content)
    wrong = cli.invoke(app, ["weights", "add", "summer", str(file)])
    assert wrong.exit_code == 1
    assert sentence in str(wrong.exception)


def test_missing_file_is_named(settings: Settings) -> None:
    ran = smarttrip("weights", "add", "summer", "/no/such/file.json")
    assert ran.returncode == ExitCode.USAGE
    assert ran.stderr.startswith("FILE should be a file that exists.")
