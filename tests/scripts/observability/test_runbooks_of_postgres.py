"""Runbooks of Postgres, of jobs and of events in it, followed in the states that they are for."""

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from urllib.request import urlopen

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from core.concurrency.tasks import background_task
from core.configuration.settings import Settings, load_settings
from indexer.backends import Backends
from indexer.jobs.queue import Job
from indexer.jobs.scheduler import run_scheduled
from schemas.tables import JobRun
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import server, standby
from scripts.errors import ExitCode
from tests.conftest import plain
from tests.scripts.observability.runbook_commands import needs_clients, run
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.eventually import eventually
from tests.support.locks import waits_for_a_lock
from tests.support.sync import execute
from tests.support.tracking.entries import event
from tracking.writers.batches import store

pytestmark = [needs_clients, pytest.mark.slow]

DIFFERING = (ExitCode.DONE, ExitCode.DIFFERS)
ADMIN_KEY = "the-key-of-an-operator"
RAN_LONG_AGO = """
INSERT INTO smarttrip.job_runs (name, succeeded_at, settled_at)
VALUES ('count_trips', now() - interval '3 hours', now() - interval '3 hours')"""


@asynccontextmanager
async def changed(backends: Backends, change: str, undo: str) -> AsyncIterator[None]:
    await execute(backends.postgres, change)
    try:
        yield
    finally:
        await execute(backends.postgres, undo)


@pytest.mark.parametrize("runbook", ["high-error-rate", "database-differs"])
async def test_dropped_column_is_named(runbook: str, settings: Settings, backends: Backends) -> None:
    with uvicorn_serving(settings) as api:
        async with changed(
            backends, "ALTER TABLE guides RENAME bio TO biography", "ALTER TABLE guides RENAME biography TO bio"
        ):
            shown = await run(runbook, "confirm", settings, codes=DIFFERING, api=api)
        assert "guides" in shown
        assert "bio" in shown
        assert "bio" not in await run(runbook, "confirm", settings, codes=DIFFERING, api=api)


@pytest.mark.parametrize("runbook", ["database-differs", "index-drift"])
async def test_disabled_trigger_is_named(runbook: str, settings: Settings, backends: Backends) -> None:
    async with changed(
        backends,
        "ALTER TABLE guides DISABLE TRIGGER smarttrip_update",
        "ALTER TABLE guides ENABLE TRIGGER smarttrip_update",
    ):
        shown = await run(runbook, "confirm", settings, codes=DIFFERING)
    assert "guides" in shown


async def test_holder_of_a_lock_is_shown_and_ended_while_requests_wait_for_the_pool(
    settings: Settings, backends: Backends
) -> None:
    holder = await asyncpg.connect(plain(settings.database_url))
    pid = await holder.fetchval("SELECT pg_backend_pid()")
    await holder.execute("BEGIN; LOCK TABLE guides")
    writer = asyncio.create_task(execute(backends.postgres, "UPDATE guides SET bio = bio"))
    await eventually(lambda: waits_for_a_lock(backends.postgres))
    small = settings.model_copy(update={"postgres_connections": 1})
    with uvicorn_serving(small) as api, ThreadPoolExecutor(2) as clients:
        for page in (1, 2):
            clients.submit(urlopen, f"{api}/api/guides?page={page}")
        await eventually(lambda: waits_for_a_lock(backends.postgres, 2))
        shown = await run("postgres-pool-exhausted", "confirm", settings)
        assert f"{pid}|" in await run("high-error-rate", "confirm", settings, codes=DIFFERING, api=api)
        await run("high-error-rate", "first", settings)
        await writer
    assert "|active|Lock|2" in shown
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await holder.execute("SELECT 1")


@pytest.mark.parametrize("runbook", ["job-failing", "job-overdue"])
async def test_failures_of_a_job_are_shown(runbook: str, settings: Settings, backends: Backends) -> None:
    async def fail() -> None:
        raise ValueError

    async def has_failed() -> bool:
        async with backends.postgres.connect() as connection:
            return bool(await connection.scalar(select(func.max(JobRun.failures))))

    await execute(backends.postgres, RAN_LONG_AGO)
    job = Job("count_trips", fail, timeout=5, minutes=frozenset(range(60)))
    async with background_task(run_scheduled(backends.postgres, [job], poll_seconds=0.05)):
        await eventually(has_failed)
    shown = await run(runbook, "confirm", settings)
    assert re.search(r"^count_trips\|.+\|1$", shown, re.MULTILINE)


async def test_rejected_event_is_shown_and_stored_at_last(settings: Settings, backends: Backends) -> None:
    async with changed(backends, "ALTER TABLE events ADD CONSTRAINT no_trips CHECK (false) NOT VALID", "SELECT 1"):
        await store(backends.postgres, [event()])
    with uvicorn_serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as api:
        shown = await run("events-dead-lettered", "confirm", settings, api=api, ADMIN_KEY=ADMIN_KEY)
        assert "no_trips" in shown
        await execute(backends.postgres, "ALTER TABLE events DROP CONSTRAINT no_trips")
        assert '"retried":1' in await run("events-dead-lettered", "first", settings, api=api, ADMIN_KEY=ADMIN_KEY)


async def test_constraint_that_protects_rows_is_shown(settings: Settings, backends: Backends) -> None:
    async with changed(backends, "CREATE TABLE referrers (id bigint REFERENCES sessions (id))", "DROP TABLE referrers"):
        shown = await run("rows-protected", "cause", settings)
    assert "referrers" in shown


async def test_held_up_replay_of_a_standby_is_shown() -> None:
    async with server(POSTGRES) as primary, standby(primary) as replica:
        await replica.start()
        await execute_alone(replica.url, "SELECT pg_wal_replay_pause()")
        await execute_alone(primary.url, "CREATE TABLE written AS SELECT generate_series(1, 10000)")
        settings = load_settings(database_url=primary.url)

        async def bytes_behind() -> int:
            shown = await run("replica-left-out", "cause", settings)
            found = re.search(r"\| streaming \| +(\d+)$", shown, re.MULTILINE)
            return int(found[1]) if found else -1

        async def is_behind() -> bool:
            return await bytes_behind() > 0

        async def has_caught_up() -> bool:
            return await bytes_behind() == 0

        await eventually(is_behind)
        await execute_alone(replica.url, "SELECT pg_wal_replay_resume()")
        await eventually(has_caught_up)


async def execute_alone(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
