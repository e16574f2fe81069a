import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis

from scripts.dev_stack.manager import SERVICES
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.wait import http_ok, until
from tests.support.command import SMARTTRIP, down, empty_folder, environment, processes_of, smarttrip, status, up


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    with empty_folder() as folder:
        assert up(folder).returncode == 0
        yield folder


def exports(folder: Path) -> dict[str, str]:
    lines = smarttrip("stack", "env", "--data", str(folder)).stdout.splitlines()
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def places(folder: Path) -> dict[str, dict[str, int]]:
    known: dict[str, dict[str, int]] = json.loads((folder / "stack.json").read_text())
    return known


def pids(folder: Path) -> dict[str, int]:
    return {name: place["pid"] for name, place in places(folder).items()}


async def test_env_leads_to_three_working_services(running: Path) -> None:
    urls = exports(running)
    assert set(urls) == {"DATABASE_URL", "REDIS_URL", "ELASTICSEARCH_URL"}

    postgres = await asyncpg.connect(urls["DATABASE_URL"])
    await postgres.execute("CREATE DATABASE another")
    assert await postgres.fetchval("SELECT lower('ÄÉ') || current_setting('server_encoding')") == "äéUTF8"
    await postgres.close()

    redis = Redis.from_url(urls["REDIS_URL"])
    assert await redis.incr("counter") == 1
    await redis.aclose()

    port = int(urls["ELASTICSEARCH_URL"].rsplit(":", 1)[1])
    assert http_ok(port, "/_cluster/health?wait_for_status=green&timeout=10s")


def test_shared_memory_of_postgres_goes_with_its_folder(running: Path) -> None:
    mapped = {file.path for file in psutil.Process(pids(running)["postgres"]).memory_maps()}
    assert any(str(running) in path for path in mapped)
    assert not any("/PostgreSQL." in path for path in mapped)


async def test_logs_and_data_are_private(running: Path) -> None:
    for service in SERVICES:
        assert service.log(running).stat().st_mode & 0o077 == 0
        assert service.folder(running).stat().st_mode & 0o077 == 0


async def test_postgres_log_has_no_values(running: Path) -> None:
    log = next(service.log(running) for service in SERVICES if service.name == "postgres")
    connection = await asyncpg.connect(exports(running)["DATABASE_URL"])
    await connection.execute("CREATE TABLE addresses (email text UNIQUE)")
    for _ in range(2):
        with suppress(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO addresses VALUES ($1)", "planted@example.org")
    await connection.close()
    assert until(lambda: "addresses_email_key" in log.read_text(), 10)
    assert "planted" not in log.read_text()


def test_status_is_0_when_all_services_respond(running: Path) -> None:
    answer = status(running)
    assert answer.returncode == 0
    assert [line.split()[:2] for line in answer.stdout.splitlines()] == [[s.name, "answers"] for s in SERVICES]


def test_up_again_starts_nothing(running: Path) -> None:
    before = pids(running)
    assert up(running).returncode == 0
    assert pids(running) == before


def test_unstarted_stack_is_down(folder: Path) -> None:
    assert status(folder).returncode == 3
    env = smarttrip("stack", "env", "--data", str(folder))
    assert (env.returncode, env.stdout) == (3, "")
    assert "not running" in env.stderr
    assert down(folder).returncode == 0


def test_process_with_a_reused_pid_is_not_stopped(folder: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        state = {service.name: {"pid": stranger.pid, "port": free_port()} for service in SERVICES}
        (folder / "stack.json").write_text(json.dumps(state))
        assert status(folder).returncode == 3
        assert down(folder).returncode == 0
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.slow
async def test_data_and_ports_survive_down_and_up(folder: Path) -> None:
    up(folder)
    urls = exports(folder)
    postgres = await asyncpg.connect(urls["DATABASE_URL"])
    await postgres.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await postgres.close()
    redis = Redis.from_url(urls["REDIS_URL"])
    await redis.set("kept", "7")

    assert down(folder).returncode == 0
    assert processes_of(folder) == []
    assert status(folder).returncode == 3

    up(folder)
    assert exports(folder) == urls
    postgres = await asyncpg.connect(urls["DATABASE_URL"])
    assert await postgres.fetchval("SELECT number FROM kept") == 7
    await postgres.close()
    assert await redis.get("kept") == b"7"
    await redis.aclose()


@pytest.mark.slow
def test_concurrent_ups_start_one_stack(folder: Path) -> None:
    command = [SMARTTRIP, "stack", "up", "--data", str(folder)]
    both = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[1] and process.returncode for process in both] == [0, 0]
    masters = [line for line in processes_of(folder) if "/bin/postgres" in line]
    assert len(masters) == 1
    assert status(folder).returncode == 0


@pytest.mark.slow
def test_two_folders_have_separate_stacks(running: Path, folder: Path) -> None:
    assert up(folder).returncode == 0
    assert status(running).returncode == 0
    assert not set(exports(running).values()) & set(exports(folder).values())
    down(folder)
    assert status(running).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_up_replaces_a_killed_service(running: Path, service: str) -> None:
    before = pids(running)
    os.kill(before[service], signal.SIGKILL)
    assert until(lambda: status(running).returncode == 3, seconds=10)
    assert up(running).returncode == 0
    after = pids(running)
    assert {name for name in after if after[name] != before[name]} == {service}


@pytest.mark.slow
def test_up_avoids_a_port_that_was_taken(folder: Path) -> None:
    up(folder)
    down(folder)
    port = places(folder)["valkey"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        assert up(folder).returncode == 0
        assert places(folder)["valkey"]["port"] != port


@pytest.mark.slow
def test_failing_service_is_named_with_its_log(folder: Path) -> None:
    up(folder)
    down(folder)
    (folder / "postgres" / "cluster" / "PG_VERSION").write_text("1\n")
    answer = up(folder)
    assert answer.returncode == 1
    assert "postgres" in answer.stderr
    assert str(folder / "postgres.log") in answer.stderr
    assert "Traceback" not in answer.stderr
    assert processes_of(folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's services run as another user")
def test_inaccessible_folder_is_rejected_in_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "kept").touch()
    answer = up(tmp_path / "data")
    assert answer.returncode == 1
    assert str(tmp_path) in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
