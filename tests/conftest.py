"""Databases for the tests: each pytest process creates its own on the servers that the environment names."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core import clients
from core.configuration.settings import Settings, load_settings
from core.gc_tuning import tune_gc
from core.tracing.provider import ELASTICSEARCH_SPANS
from schemas.tables import Base
from tests.support.factories import CatalogueFactory
from tests.support.log_configuration import preserve_log_configuration
from tests.support.otlp import Collector, collecting

# Clients read it when they are made, which fixtures do before a test starts traces.
os.environ[ELASTICSEARCH_SPANS] = "false"

TESTS = Path(__file__).parent
TODAY = date(2026, 11, 24)
SERVICES = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ELASTICSEARCH_URL": "http://127.0.0.1:1",
}
"""Settings that lead to the servers, with addresses for tests that need none: nothing listens there."""
SLOT_LOCK = 0x736D6172
"""First of the advisory lock keys, one for each slot."""
MAX_SLOTS = 16

NOT_FAST = {
    "app/openapi/test_linters.py",
    "app/test_imports.py",
    "browser",
    "core/logs/test_configuration.py",
    "core/metrics/test_files.py",
    "core/logs/test_repetition.py",
    "docs",
    "fault_injection",
    "protocol_model",
    "scripts",
    "security",
    "stateful",
    "test_recipes.py",
}
"""Folders and files whose tests start processes or take long, although they may need no server."""
MIGRATED = ("event_categories", "event_types", "installation")
"""Tables that are filled by the migrations."""
EMPTIED = [table.fullname for table in Base.metadata.sorted_tables if table.name not in MIGRATED]
EMPTY = f"""
DO $$
DECLARE tables CONSTANT regclass[] := ARRAY{EMPTIED};
BEGIN
    -- Triggers do not fire on a replica.
    SET LOCAL session_replication_role = replica;
    -- A process of the test before may still be writing.
    LOCK TABLE {", ".join(EMPTIED)} IN ACCESS EXCLUSIVE MODE;
    -- To delete few rows is several times as fast as to truncate, but leaves dead ones.
    IF (SELECT sum(pg_relation_size(name)) FROM unnest(tables) name) > 500000 THEN
        TRUNCATE {", ".join(EMPTIED)} RESTART IDENTITY;
    ELSE
        {" ".join(f"DELETE FROM {table};" for table in EMPTIED)}
        PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence JOIN pg_depend ON objid = seqrelid
        WHERE deptype IN ('a', 'i') AND refobjid = ANY(tables);
    END IF;
END $$"""
"""Deletes all rows but those of the migrations, without a trace in the outbox, and begins ids anew."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Let Ctrl-C through, which scripts/check.py blocks until pytest ends in order at it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def pytest_collection_finish() -> None:
    """Exclude what has been collected from garbage collections: they took a fifth of the suite's time."""
    tune_gc()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("markexpr") == "fast":
        os.environ.update(SERVICES)
    # The controller of xdist reports it, because pytest.exit in a worker shows no message.
    elif config.getoption("numprocesses", default=None):
        require_services()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips where SMARTTRIP_NO_SKIPS is set: CI has all the programs that tests need."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("SMARTTRIP_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though SMARTTRIP_NO_SKIPS is set: {report.longrepr}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as `fast` that use no server, in folders where tests are quick."""
    for item in items:
        path = item.path.relative_to(TESTS)
        is_in_fast_folder = NOT_FAST.isdisjoint(map(str, (path, *path.parents)))
        needs_servers = "services" in getattr(item, "fixturenames", ())
        if is_in_fast_folder and not needs_servers and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.fast)


def require_services() -> None:
    if not all(os.environ.get(name) for name in SERVICES):
        pytest.exit(
            "The tests need Postgres, Redis and Elasticsearch: run ./scripts/test, or "
            '`smarttrip stack up && eval "$(smarttrip stack env)"` before pytest.',
            returncode=2,
        )


@pytest.fixture(autouse=True)
def log_configuration() -> Iterator[None]:
    """Leave logs as they were, whatever command the test runs in this process."""
    with preserve_log_configuration():
        yield


@pytest.fixture(scope="session")
def services() -> Settings:
    """Settings of the servers that the environment names."""
    require_services()
    return load_settings()


@pytest.fixture(scope="session")
async def slot(services: Settings) -> AsyncIterator[int]:
    """A number that no other pytest process uses while this one runs, be it an xdist worker or in another terminal."""
    connection = await asyncpg.connect(plain(services.database_url))
    for number in range(SLOT_LOCK, SLOT_LOCK + MAX_SLOTS):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", number):
            yield number - SLOT_LOCK
            break
    else:
        pytest.exit(f"{MAX_SLOTS} pytest processes are using this Postgres already; end one of them.", returncode=2)
    await connection.close()


@pytest.fixture(scope="session")
async def settings(services: Settings, slot: int) -> AsyncIterator[Settings]:
    """Settings of this process's own databases, the Postgres one empty and migrated; today is TODAY."""
    settings = load_settings(
        database_url=await fresh_database(services.database_url, f"smarttrip_test_{slot}"),
        redis_url=await own_redis(services.redis_url, slot),
        elasticsearch_url=services.elasticsearch_url,
        elasticsearch_alias=f"test_{slot}_trips",
        today=TODAY,
    )
    await asyncio.to_thread(migrations.upgrade, settings.database_url)
    await drop_indices(settings)
    yield settings
    await drop_indices(settings)


@pytest.fixture(scope="session")
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = clients.postgres(settings.database_url, pool_size=10)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def es(settings: Settings) -> AsyncIterator[AsyncElasticsearch]:
    async with clients.elasticsearch(settings.elasticsearch_url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    async with clients.redis(settings.redis_url, timeout=5) as client:
        yield client


@pytest.fixture
async def database(engine: AsyncEngine, redis: Redis) -> AsyncEngine:
    """The engine, after tables and Redis have been emptied."""
    await empty(engine)
    await redis.flushdb()
    return engine


@pytest.fixture
def catalogue(database: AsyncEngine) -> CatalogueFactory:
    return CatalogueFactory(database)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector of traces; in the block of `collector.recording()` this process makes traces."""
    with collecting(patch=monkeypatch) as collector:
        yield collector


def plain(url: str) -> str:
    """Return the URL for asyncpg itself, which does not know the name of SQLAlchemy's driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def fresh_database(url: str, name: str) -> str:
    """Replace the database `name` on the server of `url`, and return its URL."""
    connection = await asyncpg.connect(plain(url))
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    await connection.close()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def own_redis(url: str, slot: int) -> str:
    """Empty this slot's Redis database, counted from the last, away from those that people choose; return its URL."""
    async with clients.redis(url) as client:
        count = int((await client.config_get("databases"))["databases"])
    own = urlsplit(url)._replace(path=f"/{count - 1 - slot}").geturl()
    async with clients.redis(own, timeout=5) as client:
        await client.flushdb()
    return own


async def drop_indices(settings: Settings) -> None:
    async with clients.elasticsearch(settings.elasticsearch_url, timeout=30) as client:
        names = await client.indices.get(index=f"{settings.elasticsearch_alias}*", expand_wildcards="all")
        if names:
            await client.indices.delete(index=list(names))


async def empty(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(EMPTY)
