"""What another account of the machine can do with the local services, and data from before they had passwords."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from scripts.dev_stack.passwords import hide_password, password_file
from scripts.dev_stack.postgres import POSTGRES
from scripts.dev_stack.valkey import VALKEY
from scripts.drill.servers import Server, server
from tests.support.command import down, empty_folder, smarttrip, status, up

OTHER_ACCOUNT = 54321
PROTECTED = (POSTGRES, VALKEY)
PRINT_READABLE = 'find "$0" -type f -exec cat {} + 2>/dev/null; true'
"""A shell command that prints what an account can read of a folder."""


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    with empty_folder() as folder:
        assert up(folder).returncode == 0
        yield folder


@pytest.fixture(scope="module")
def passwords(running: Path) -> list[str]:
    return [password_file(service.folder(running)).read_text() for service in PROTECTED]


def url_of(folder: Path, variable: str) -> str:
    lines = smarttrip("stack", "env", "--data", str(folder)).stdout.splitlines()
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)[variable]


def without_password(url: str, password: str = "") -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{password}@127.0.0.1:{parts.port}"))


@pytest.mark.parametrize("database", ["smarttrip", "postgres", "template1"])
@pytest.mark.parametrize("password", ["", "smarttrip", "postgres"])
async def test_postgres_refuses_who_does_not_know_the_password(running: Path, database: str, password: str) -> None:
    url = without_password(url_of(running, "DATABASE_URL"), password)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url, database=database)


async def test_valkey_refuses_who_does_not_know_the_password(running: Path) -> None:
    port = urlsplit(url_of(running, "REDIS_URL")).port
    for password in (None, "smarttrip"):
        async with Redis(port=port or 0, password=password) as redis:
            with pytest.raises(AuthenticationError):
                await redis.ping()


def test_passwords_are_generated(passwords: list[str]) -> None:
    assert len(set(passwords)) == len(PROTECTED)
    assert min(map(len, passwords)) >= 32


def test_everything_that_belongs_to_the_services_is_private(running: Path) -> None:
    for service in PROTECTED:
        folder = service.folder(running)
        assert password_file(folder).stat().st_mode & 0o777 == 0o600
        for path in (folder, *folder.iterdir()):
            assert path.stat().st_mode & 0o077 == 0 or not folder.stat().st_mode & 0o077, path
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_other_account_finds_no_password_in_files(running: Path, passwords: list[str]) -> None:
    running.chmod(0o755)
    command = ["sh", "-c", PRINT_READABLE, str(running)]
    found = subprocess.run(
        command, user=OTHER_ACCOUNT, group=OTHER_ACCOUNT, extra_groups=[], capture_output=True, check=True
    )
    assert b"pid" in found.stdout
    assert not [password for password in passwords if password.encode() in found.stdout]


def test_command_lines_contain_no_password(running: Path, passwords: list[str]) -> None:
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any(f"{running}/valkey" in line for line in lines)
    assert not [line for line in lines for password in passwords if password in line]


def test_shown_urls_contain_no_password(running: Path, passwords: list[str]) -> None:
    as_json = smarttrip("stack", "status", "--json", "--data", str(running)).stdout
    shown = status(running).stdout + up(running).stdout + as_json
    assert "postgresql://smarttrip:***@127.0.0.1:" in shown
    assert not [password for password in passwords if password in shown]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://a:b@h:1/c", "postgresql://a:***@h:1/c"),
        ("redis://:b@h:1/0", "redis://:***@h:1/0"),
        ("postgresql://a@h:1/c", "postgresql://a@h:1/c"),
        ("http://h:1", "http://h:1"),
        (None, None),
    ],
)
def test_password_is_hidden(url: str | None, shown: str | None) -> None:
    assert hide_password(url) == shown


@pytest.mark.slow
async def test_postgres_without_password_gets_one_and_keeps_its_data() -> None:
    """Its data folder was made before, with access for everyone."""
    async with server(POSTGRES) as postgres:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        await connection.close()
        open_to_everyone(postgres)
        await postgres.start()
        assert postgres.url.count(":") == 3
        connection = await asyncpg.connect(postgres.url)
        assert await connection.fetchval("SELECT number FROM kept") == 7
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(without_password(postgres.url))


def open_to_everyone(postgres: Server) -> None:
    """Turn the data folder into one from before there were passwords."""
    postgres.kill()
    folder = POSTGRES.folder(postgres.data)
    password_file(folder).unlink()
    rules = folder / "cluster" / "pg_hba.conf"
    rules.write_text(rules.read_text().replace("scram-sha-256", "trust"))


@pytest.mark.slow
def test_stack_without_passwords_is_still_found(folder: Path) -> None:
    """One that was started before there were passwords goes on to run without."""
    up(folder)
    (password_file(POSTGRES.folder(folder))).unlink()
    shown = smarttrip("stack", "env", "--data", str(folder)).stdout
    assert "DATABASE_URL=postgresql://smarttrip@127.0.0.1:" in shown
    assert not password_file(POSTGRES.folder(folder)).exists()
    down(folder)
