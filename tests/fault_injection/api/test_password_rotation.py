"""The password of the database is changed while the system runs: no request fails, and changes stay searchable."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from signal import SIGTERM
from uuid import uuid4

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import URL, make_url

import migrations
from core.configuration.settings import Settings
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import Server, server
from tests.conftest import TODAY, drop_indices, plain
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import RunningProcess, worker_process

OLD, NEW = "old-password-of-this-test", "new-password-of-this-test"
ACCESS = """
host all {admin} 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


async def execute(admin: str, *statements: str) -> None:
    connection = await asyncpg.connect(plain(admin))
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def own() -> AsyncIterator[Server]:
    """A Postgres whose roles, besides the superuser, need passwords."""
    async with server(POSTGRES) as running:
        admin = make_url(running.url).username
        access = POSTGRES.folder(running.data) / "cluster" / "pg_hba.conf"
        access.write_text(ACCESS.format(admin=admin))
        await execute(running.url, "SELECT pg_reload_conf()", _role("first", OLD, admin))
        await asyncio.to_thread(migrations.upgrade, running.url)
        await sample_data.seed(running.url, 200, today=TODAY)
        yield running


def _role(name: str, password: str, group: str | None) -> str:
    return f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {group}"


def _settings(settings: Settings, url: URL) -> Settings:
    changes = {
        "database_url": url.render_as_string(hide_password=False),
        "elasticsearch_alias": f"{settings.elasticsearch_alias}-rotation",
        # The keys without it are another installation's, as are those of earlier runs.
        "redis_prefix": f"{uuid4().hex}:",
    }
    return settings.model_copy(update=changes)


class Client:
    """Sends requests that need Postgres, to the process that serves now, and counts those that fail."""

    def __init__(self, process: RunningProcess) -> None:
        self.process = process
        self.succeeded = 0
        self.failures: list[str] = []
        self._offsets = itertools.count()

    async def request(self, api: httpx2.AsyncClient) -> None:
        try:
            response = await api.get(f"{self.process.url}/api/v2/occurrences?limit=1&offset={next(self._offsets)}")
        except httpx2.TransportError as error:
            self.failures.append(repr(error))
            return
        if response.status_code == 200:
            self.succeeded += 1
        else:
            self.failures.append(response.text)


@asynccontextmanager
async def requesting(process: RunningProcess) -> AsyncIterator[Client]:
    """Send requests, a few at a time, throughout the block."""
    client, ending = Client(process), asyncio.Event()

    async def repeat() -> None:
        async with http_client(process.url) as api:
            while not ending.is_set():
                await client.request(api)
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(repeat())
        try:
            yield client
        finally:
            ending.set()


async def more_requests_succeed(client: Client, count: int = 30) -> None:
    wanted = client.succeeded + count
    await eventually(lambda: client.succeeded >= wanted, within=20)


async def change_is_served(own: Server, client: Client, spots: int) -> None:
    """Assert that a change is served: the worker has seen it and notified caches, with the new password."""
    await execute(own.url, f"UPDATE trip_occurrences SET spots_left = {spots} WHERE id = 1")

    async def is_served() -> bool:
        async with http_client(client.process.url) as api:
            shown = (await api.get("/api/v2/occurrences/1")).json()
        return bool(shown["data"]["spotsLeft"] == spots)

    await eventually(is_served, within=20)


async def test_password_in_a_file_is_changed_without_a_restart(settings: Settings, own: Server, tmp_path: Path) -> None:
    passwords = tmp_path / "pgpass"
    write_passwords(passwords, OLD)
    # The password of the superuser's URL would count before the file.
    url = make_url(own.url)._replace(username="first", password=None).update_query_dict({"passfile": str(passwords)})
    own_settings = _settings(settings, url)
    try:
        async with (
            worker_process(own_settings),
            serve_process(own_settings) as api,
        ):
            await api.wait_until_responding("/readyz")
            async with requesting(api) as client:
                await more_requests_succeed(client)
                await execute(own.url, f"ALTER ROLE first PASSWORD '{NEW}'")
                write_passwords(passwords, NEW)
                # Pools replace connections that ended; those in use go on.
                await execute(
                    own.url,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'first' AND state = 'idle'",
                )
                await more_requests_succeed(client)
                await change_is_served(own, client, 7)
            assert client.failures == []
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(plain(own.url), user="first", password=OLD)
    finally:
        await drop_indices(own_settings)


def write_passwords(path: Path, password: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(f"*:*:*:*:{password}\n")
    new.chmod(0o600)
    new.rename(path)


@pytest.mark.slow
async def test_role_is_exchanged_by_restarts_a_few_at_a_time(settings: Settings, own: Server) -> None:
    url = make_url(own.url)
    first = _settings(settings, url.set(username="first", password=OLD))
    second = first.model_copy(
        update={"database_url": url.set(username="second", password=NEW).render_as_string(hide_password=False)}
    )
    try:
        async with AsyncExitStack() as processes:
            old_worker = await processes.enter_async_context(worker_process(first))
            old_api = await processes.enter_async_context(serve_process(first))
            await old_api.wait_until_responding("/readyz")
            async with requesting(old_api) as client:
                await more_requests_succeed(client)
                await execute(own.url, _role("second", NEW, "first"))
                new_worker = await processes.enter_async_context(worker_process(second))
                new_api = await processes.enter_async_context(serve_process(second))
                await new_api.wait_until_responding("/readyz")
                await new_worker.wait_until_responding("/readyz")
                client.process = new_api
                for process in (old_api, old_worker):
                    process.process.send_signal(SIGTERM)
                    await process.process.wait()
                await execute(own.url, "ALTER ROLE first PASSWORD NULL")
                await more_requests_succeed(client)
                await change_is_served(own, client, 9)
            assert client.failures == []
    finally:
        await drop_indices(first)
