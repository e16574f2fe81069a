"""Secrets are changed while the system runs: no request fails, no server is lost, and changes stay visible."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from signal import SIGTERM
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from core.configuration.settings import Settings
from scripts.drill.servers import Server
from tests.conftest import drop_indices, plain
from tests.fault_injection.api.balanced_client import BalancedClient, requesting
from tests.fault_injection.api.own_database import NEW, OLD, execute, own_database
from tests.fault_injection.api.secret_rotations import ADMIN, ROTATIONS, Rotation, Step
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import PATIENT, RunningProcess, worker_process


@pytest.fixture
async def own() -> AsyncIterator[Server]:
    async with own_database() as running:
        yield running


@pytest.fixture
async def installation(settings: Settings, own: Server) -> AsyncIterator[Settings]:
    """Settings of an installation of its own, on the database `own`, without database credentials that work."""
    changes = {
        "database_url": own.url,
        "elasticsearch_alias": f"{settings.elasticsearch_alias}-rotation",
        # The keys without it are another installation's, as are those of earlier runs.
        "redis_prefix": f"{uuid4().hex}:",
    }
    installation = settings.model_copy(update=changes)
    yield installation
    await drop_indices(installation)


async def assert_change_is_served(own: Server, url: str, spots: int) -> None:
    """Assert that a change is served: the worker has indexed it and notified caches, with its own secrets."""
    await execute(own.url, f"UPDATE trip_occurrences SET spots_left = {spots} WHERE id = 1")

    async def is_served() -> bool:
        async with http_client(url, timeout=120) as api:
            shown = (await api.get("/api/v2/occurrences/1")).json()
        return bool(shown["data"]["spotsLeft"] == spots)

    await eventually(is_served, within=60)


@pytest.mark.parametrize("place", ["URL", pytest.param("environment", marks=pytest.mark.slow)])
async def test_password_in_a_file_is_changed_without_a_restart(
    installation: Settings, own: Server, tmp_path: Path, place: str
) -> None:
    passwords = tmp_path / "pgpass"
    write_passwords(passwords, OLD)
    # The password of the superuser's URL would count before the file.
    url = make_url(plain(own.url))._replace(username="first", password=None)
    in_url = url.update_query_dict({"passfile": str(passwords)} if place == "URL" else {}).render_as_string()
    variables = {"DATABASE_URL": in_url, "DATABASE_DIRECT_URL": in_url}
    if place == "environment":
        variables["PGPASSFILE"] = str(passwords)
    async with AsyncExitStack() as processes:
        _, api = await start(processes, installation, Step(variables))
        async with requesting() as client:
            client.add(api.url)
            await client.wait_for_rounds()
            await execute(own.url, f"ALTER ROLE first PASSWORD '{NEW}'")
            write_passwords(passwords, NEW)
            # Pools replace connections that ended; those in use go on.
            await execute(
                own.url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'first' AND state = 'idle'",
            )
            await client.wait_for_rounds()
            await assert_change_is_served(own, api.url, 7)
        assert client.failures == []
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(plain(own.url), user="first", password=OLD)


def write_passwords(path: Path, password: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(f"*:*:*:*:{password}\n")
    new.chmod(0o600)
    new.rename(path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("rotation_of", ROTATIONS, ids=[each.__name__ for each in ROTATIONS])
async def test_secret_is_exchanged_by_restarts_a_few_at_a_time(
    installation: Settings,
    own: Server,
    rotation_of: Callable[[Settings, Server], AbstractAsyncContextManager[Rotation]],
) -> None:
    async with rotation_of(installation, own) as rotation, AsyncExitStack() as processes:
        first, *others = rotation.steps
        old = await start(processes, installation, first)
        async with requesting(*first.credentials) as client:
            client.add(old[1].url)
            await client.wait_for_rounds()
            await rotation.admit()
            for step in others:
                new = await start(processes, installation, step)
                await replace(client, old, new, step)
                old = new
            await rotation.revoke()
            await client.wait_for_rounds()
            await assert_change_is_served(own, old[1].url, 9)
        assert client.failures == []


Pair = tuple[RunningProcess, RunningProcess]
"""A worker and an API process."""


async def start(processes: AsyncExitStack, installation: Settings, step: Step) -> Pair:
    variables = {**PATIENT, **ADMIN, **step.variables}
    worker = await processes.enter_async_context(worker_process(installation, **variables))
    api = await processes.enter_async_context(serve_process(installation, port=None, **variables))
    for process in (worker, api):
        await process.wait_until_responding("/readyz")
    return worker, api


async def replace(client: BalancedClient, old: Pair, new: Pair, step: Step) -> None:
    """Have the new processes serve beside the old ones, and then without them."""
    client.credentials = step.credentials
    client.add(new[1].url)
    await client.wait_for_rounds()
    await client.remove(old[1].url)
    for process in old:
        process.process.send_signal(SIGTERM)
        await process.process.wait()
    await client.wait_for_rounds()
