import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import asyncpg
import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy.engine import make_url
from typer.main import get_command
from typer.testing import CliRunner

from core.settings import Settings, load_settings
from indexer.index.reconcile import rebuild_connection
from scripts.cli import app, main
from tests.conftest import drop_indices, fresh_database, own_redis, plain
from tests.support import processes
from tests.support.command import environment, smarttrip

NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ELASTICSEARCH_URL": "http://127.0.0.1:1",
}
SETTINGS = tuple(name.upper() for name in Settings.model_fields)
InProcess = Callable[[str, Mapping[str, str]], tuple[object, str]]
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
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "Exit codes: 0 done; 1 failed" in output


@pytest.mark.parametrize("arguments", [["fly"], ["stack", "fly"], ["seed", "--occurrences", "many"], ["serve", "--x"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> InProcess:
    """Return a function that runs a command in this process and returns its exit code and stderr."""

    def run(command: str, env: Mapping[str, str]) -> tuple[object, str]:
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["smarttrip", command])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("command", [name for name in WITH_SETTINGS if name != "verify"])
def test_direct_url_of_another_database_is_refused(settings: Settings, command: str) -> None:
    other = make_url(plain(settings.database_url)).set(database="postgres").render_as_string(hide_password=False)
    refused = smarttrip(command, env=processes.environment(settings, DATABASE_DIRECT_URL=other))
    assert refused.returncode == 1
    assert "DATABASE_DIRECT_URL leads to another database than DATABASE_URL" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", WITH_SETTINGS)
def test_missing_setting_is_named(in_process: InProcess, command: str) -> None:
    code, error = in_process(command, {})
    assert code == 2
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
    code, error = in_process("serve", {**NOWHERE, name: value})
    assert code == 2
    assert error.startswith(f"{name} is wrong")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("command", ["migrate", "reindex"])
def test_unreachable_service_is_named_and_exits_with_3(command: str) -> None:
    result = smarttrip(command, env=environment(**NOWHERE))
    assert result.returncode == 3
    assert any(name in result.stderr for name in ("Postgres", "Elasticsearch", "Redis"))
    assert len(result.stderr.splitlines()) == 1


def test_serve_on_taken_port_exits_with_4() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = smarttrip("serve", "--port", str(port), env=environment(**NOWHERE))
    assert result.returncode == 4
    assert result.stderr == f"Port {port} is taken; choose another one with PORT.\n"


@pytest.fixture(scope="module")
async def own(services: Settings, slot: int) -> AsyncIterator[Settings]:
    """Settings of an empty database without migrations."""
    settings = load_settings(
        database_url=await fresh_database(services.database_url, f"smarttrip_cli_{slot}"),
        redis_url=await own_redis(services.redis_url, slot),
        elasticsearch_url=services.elasticsearch_url,
        elasticsearch_alias=f"cli_{slot}",
    )
    await drop_indices(settings)
    yield settings
    await drop_indices(settings)


@pytest.mark.timeout(300)
async def test_empty_database_to_verified_index(own: Settings, es: AsyncElasticsearch) -> None:
    env = environment(
        DATABASE_URL=own.database_url,
        REDIS_URL=own.redis_url,
        ELASTICSEARCH_URL=own.elasticsearch_url,
        ELASTICSEARCH_ALIAS=own.elasticsearch_alias,
    )
    not_migrated = smarttrip("seed", env=env)
    assert (not_migrated.returncode, not_migrated.stderr.count("smarttrip migrate")) == (1, 1)

    assert smarttrip("migrate", env=env).returncode == 0
    assert smarttrip("migrate", env=env).returncode == 0

    assert smarttrip("seed", "--occurrences", "70", env=env).returncode == 0
    full = smarttrip("seed", "--occurrences", "70", env=env)
    assert (full.returncode, len(full.stderr.splitlines())) == (1, 1)
    assert smarttrip("seed", "--if-empty", env=env).returncode == 0

    assert smarttrip("verify", env=env).returncode == 1
    assert smarttrip("rollback", env=env).returncode == 1

    built = smarttrip("reindex", env=env)
    assert built.returncode == 0
    assert "70 departures" in built.stdout
    assert "70 of 70" in built.stdout
    assert smarttrip("verify", env=env).returncode == 0

    await clear_outbox(own)
    await es.delete(index=own.elasticsearch_alias, id="7", refresh=True)
    differing = smarttrip("verify", env=env)
    assert differing.returncode == 1
    assert "departure 7" in differing.stdout

    assert smarttrip("reindex", env=env).returncode == 0
    assert smarttrip("rollback", env=env).returncode == 0

    async with rebuild_connection(own):
        busy = smarttrip("reindex", env=env)
    assert (busy.returncode, len(busy.stderr.splitlines())) == (4, 1)


async def clear_outbox(settings: Settings) -> None:
    """Empty the outbox, as a worker would."""
    connection = await asyncpg.connect(plain(settings.database_url))
    await connection.execute("DELETE FROM smarttrip.outbox")
    await connection.close()
