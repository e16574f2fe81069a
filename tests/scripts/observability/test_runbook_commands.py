"""The commands of runbooks, run on an installation that is well, and in the states that they are for."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.preflight.redis_server import find_redis_differences
from indexer.rebuild.reindex import reindex
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.conftest import drop_indices, plain
from tests.scripts.observability.runbook_commands import run, runbooks_with_commands
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.processes import running_process
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, is_in_sync, waiting

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("psql", "redis-cli", "redis-server"))),
    reason="needs psql and Redis: apt-get install postgresql-client redis-server",
)


DIFFERING = (ExitCode.DONE, ExitCode.DIFFERS)


@pytest.fixture
async def backends(settings: Settings, catalogue: CatalogueFactory) -> AsyncIterator[Backends]:
    """Backends of an index with one departure, in sync with Postgres."""
    await catalogue.occurrence()
    await drop_indices(settings)
    await reindex(settings, ignore_progress)
    async with open_backends(settings) as backends:
        await drain(backends)
        yield backends


@pytest.mark.slow
@pytest.mark.usefixtures("backends")
async def test_commands_run_where_all_is_well(settings: Settings) -> None:
    for runbook in runbooks_with_commands():
        # Redis of the tests has no append-only file.
        assert "rror" not in await run(runbook, "confirm", settings, codes=DIFFERING), runbook


@pytest.mark.parametrize("runbook", ["index-behind", pytest.param("index-unusable", marks=pytest.mark.slow)])
async def test_blocked_index_is_shown_and_lifted(runbook: str, settings: Settings, backends: Backends) -> None:
    await block(backends.elasticsearch, backends.alias)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = spots_left - 1")
    assert "blocks.write" in await run(runbook, "confirm", settings, codes=DIFFERING)
    await run(runbook, "first", settings)
    await drain(backends)
    await assert_in_sync(settings)


async def block(es: AsyncElasticsearch, alias: str) -> None:
    await es.indices.put_settings(index=alias, settings={"index.blocks.write": True})


@pytest.mark.slow
async def test_dropped_column_is_named(settings: Settings, backends: Backends) -> None:
    await execute(backends.postgres, "ALTER TABLE guides RENAME bio TO biography")
    try:
        shown = await run("high-error-rate", "confirm", settings, codes=DIFFERING)
    finally:
        await execute(backends.postgres, "ALTER TABLE guides RENAME biography TO bio")
    assert "guides" in shown
    assert "bio" in shown
    assert "bio" not in await run("high-error-rate", "confirm", settings, codes=DIFFERING)


@pytest.mark.slow
async def test_holder_of_a_lock_is_shown_and_ended(settings: Settings, backends: Backends) -> None:
    holder = await asyncpg.connect(plain(settings.database_url))
    pid = await holder.fetchval("SELECT pg_backend_pid()")
    await holder.execute("BEGIN; LOCK TABLE guides")
    waiter = asyncio.create_task(execute(backends.postgres, "UPDATE guides SET bio = bio"))
    await eventually(lambda: waits_for_lock(settings))
    assert f"{pid}|" in await run("high-error-rate", "confirm", settings, codes=DIFFERING)
    await run("high-error-rate", "first", settings)
    await asyncio.wait_for(waiter, 5)
    assert holder.is_closed() or await ended(holder)


async def waits_for_lock(settings: Settings) -> bool:
    connection = await asyncpg.connect(plain(settings.database_url))
    try:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'guides'::regclass"
            )
        )
    finally:
        await connection.close()


async def ended(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        return True
    return False


@pytest.mark.slow
async def test_drift_is_named_and_repaired(settings: Settings, backends: Backends) -> None:
    async with backends.postgres.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await connection.exec_driver_sql("UPDATE trip_occurrences SET spots_left = spots_left - 1")
    assert await waiting(backends.postgres) == 0
    assert "spots" in await run("index-drift", "confirm", settings, codes=DIFFERING)
    await run("index-drift", "first", settings, codes=DIFFERING)
    await drain(backends)
    assert await is_in_sync(settings)


async def test_full_redis_is_shown_and_given_memory(settings: Settings) -> None:
    port = free_port()
    full = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
    limits = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction", "--save", "", "--port", str(port))
    async with (
        running_process(("redis-server", *limits), os.environ, port=port),
        clients.redis(full.redis_url, timeout=5) as redis,
    ):
        await eventually(lambda: accepts_writes(redis))
        await eventually(lambda: is_full(redis))
        assert "noeviction" in await run("redis-full", "confirm", full)
        await run("redis-full", "first", full)
        assert await accepts_writes(redis)


async def test_misconfigured_redis_with_a_password_is_set_up(settings: Settings) -> None:
    port = free_port()
    wrong = settings.model_copy(update={"redis_url": f"redis://:secret@127.0.0.1:{port}/0"})
    options = ("--requirepass", "secret", "--maxmemory-policy", "allkeys-lru", "--save", "", "--port", str(port))
    with TemporaryDirectory() as folder:
        async with (
            running_process(("redis-server", "--dir", folder, *options), os.environ, port=port),
            clients.redis(wrong.redis_url, timeout=5) as redis,
        ):
            await eventually(lambda: responds(redis))
            assert len(await find_redis_differences(redis)) == 2
            await run("redis-misconfigured", "first", wrong)
            assert await find_redis_differences(redis) == []


async def responds(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except RedisError:
        return False


async def accepts_writes(redis: Redis) -> bool:
    try:
        return bool(await redis.append("probe", b"x" * 100_000))
    except RedisError:
        return False


async def is_full(redis: Redis) -> bool:
    """Write a little more; return whether that was rejected."""
    return not await accepts_writes(redis)
