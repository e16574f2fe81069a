import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy.engine import make_url
from typer.main import get_command
from typer.testing import CliRunner

from core.configuration.settings import Settings
from indexer.index.reconcile import rebuild_connection
from scripts.cli import EXIT_CODES, app
from scripts.commands import completion
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.conftest import plain
from tests.scripts.conftest import InProcess, environment_of
from tests.support import processes
from tests.support.command import environment, smarttrip

NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ELASTICSEARCH_URL": "http://127.0.0.1:1",
}
WITH_SETTINGS = ("migrate", "seed", "reindex", "verify", "rollback", "serve", "worker")


def all_commands() -> list[list[str]]:
    commands = get_command(app).commands.items()  # type: ignore[attr-defined]
    return [
        [name, *inner]
        for name, command in commands
        for inner in ([], *([name] for name in getattr(command, "commands", {})))
    ]


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_and_option_has_help(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    described = get_command(app)
    for name in command:
        described = described.commands[name]  # type: ignore[attr-defined]
    assert described.help
    assert all(getattr(option, "help", None) for option in described.params)
    assert described.help.split()[0] in result.output


def test_help_lists_the_exit_codes() -> None:
    output = CliRunner().invoke(app, ["-h"], env={"COLUMNS": "200"}).output
    assert " ".join(EXIT_CODES.split()) in " ".join(output.split())


def test_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"smarttrip {version('smarttrip')}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["seed", "-h"], ["stack", "up", "-h"], ["bench", "-h"]], ids=" ".join)
def test_help_loads_nothing_that_takes_time(arguments: list[str]) -> None:
    listed = (
        "import sys; from scripts.cli import main; import atexit; atexit.register(lambda: print(*sys.modules)); main()"
    )
    output = subprocess.run(
        [sys.executable, "-c", listed, *arguments], env=environment(), capture_output=True, text=True, check=True
    ).stdout
    slow = {"pydantic", "rich", "sqlalchemy", "asyncpg", "elasticsearch", "redis", "starlette", "structlog", "orjson"}
    assert not slow & set(output.splitlines()[-1].split())


@pytest.mark.parametrize("words", ["", "s", "stack ", "stack u", "seed --o"])
def test_bash_completes_commands_and_options(words: str) -> None:
    script = smarttrip("completion", "bash").stdout
    typed = f"smarttrip {words}"
    ask = (
        f"{script}\nCOMP_WORDS=({typed}); [ '{typed[-1]}' = ' ' ] && COMP_WORDS+=(''); "
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _smarttrip_completion smarttrip; echo ${COMPREPLY[@]}"
    )
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    shell = subprocess.run(["bash", "-c", ask], env=environment(PATH=path), capture_output=True, text=True, check=True)
    expected = {"": "migrate", "s": "seed", "stack ": "up", "stack u": "up", "seed --o": "--occurrences"}
    assert expected[words] in shell.stdout.split()


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_shell_has_a_script(shell: str) -> None:
    assert "smarttrip" in smarttrip("completion", shell).stdout


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_direct_url_of_another_database_is_refused(settings: Settings, command: str) -> None:
    other = make_url(plain(settings.database_url)).set(database="postgres").render_as_string(hide_password=False)
    refused = smarttrip(command, env=processes.environment(settings, DATABASE_DIRECT_URL=other, PORT=str(free_port())))
    assert refused.returncode == 1
    assert "DATABASE_DIRECT_URL leads to another database than DATABASE_URL" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_missing_setting_is_named(in_process: InProcess, command: str) -> None:
    code, error = in_process([command], {})
    assert code == ExitCode.SETTING
    assert error.startswith("DATABASE_URL is not set")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_DIRECT_URL", "localhost"),
        ("REDIS_URL", "http://localhost"),
        ("ELASTICSEARCH_URL", "localhost:9200"),
        ("ELASTICSEARCH_ALIAS", "Trips!"),
        ("TODAY", "tomorrow"),
        ("TIMEZONE", "Mars/Base"),
        ("PORT", "70000"),
        ("RATE_LIMIT_ENABLED", "perhaps"),
    ],
)
def test_invalid_setting_is_named_in_one_sentence(in_process: InProcess, name: str, value: str) -> None:
    code, error = in_process(["serve"], {**NOWHERE, name: value})
    assert code == ExitCode.SETTING
    assert error.startswith(f"{name} is wrong")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("command", ["migrate", "reindex"])
def test_unreachable_service_is_named_and_exits_with_3(command: str) -> None:
    result = smarttrip(command, env=environment(**NOWHERE))
    assert result.returncode == 3
    assert any(name in result.stderr for name in ("Postgres", "Elasticsearch", "Redis"))
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.timeout(300)
async def test_empty_database_to_verified_index(own: Settings, es: AsyncElasticsearch) -> None:
    env = environment_of(own)
    not_migrated = smarttrip("seed", env=env)
    assert (not_migrated.returncode, not_migrated.stderr.count("smarttrip migrate")) == (1, 1)

    assert smarttrip("migrate", env=env).returncode == 0
    assert json.loads(smarttrip("migrate", "--json", env=env).stdout) == {"up_to_date": True, "differences": []}

    seeded = smarttrip("seed", "--occurrences", "70", "--json", env=env)
    assert (seeded.returncode, json.loads(seeded.stdout)["trip_occurrences"]) == (0, 70)
    full = smarttrip("seed", "--occurrences", "70", env=env)
    assert (full.returncode, len(full.stderr.splitlines())) == (1, 1)
    assert smarttrip("seed", "--if-empty", env=env).returncode == 0

    assert smarttrip("verify", env=env).returncode == ExitCode.FAILED
    assert smarttrip("rollback", env=env).returncode == 1

    built = smarttrip("reindex", env=env)
    assert built.returncode == 0
    assert "70 departures" in built.stdout
    assert "70 of 70" in built.stdout
    agreeing = smarttrip("verify", "--json", env=env)
    assert (agreeing.returncode, json.loads(agreeing.stdout)["checked"]) == (0, 70)

    await clear_outbox(own)
    await es.delete(index=own.elasticsearch_alias, id="7", refresh=True)
    differing = smarttrip("verify", env=env)
    assert differing.returncode == ExitCode.DIFFERS
    assert "departure 7" in differing.stdout

    rebuilt = smarttrip("reindex", "--json", env=env)
    assert (rebuilt.returncode, rebuilt.stderr, json.loads(rebuilt.stdout)["documents"]) == (0, "", 70)
    back = smarttrip("rollback", "--json", env=env)
    assert json.loads(back.stdout) == {"name": json.loads(rebuilt.stdout)["previous"]}

    async with rebuild_connection(own):
        busy = smarttrip("reindex", env=env)
    assert (busy.returncode, len(busy.stderr.splitlines())) == (4, 1)


async def clear_outbox(settings: Settings) -> None:
    """Empty the outbox, as a worker would."""
    connection = await asyncpg.connect(plain(settings.database_url))
    await connection.execute("DELETE FROM smarttrip.outbox")
    await connection.close()
