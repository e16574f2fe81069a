"""Installations that share Redis and Elasticsearch never see each other; names of another one are refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

import migrations
from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.errors import IndexOwnedError, RedisOwnedError
from indexer.index import admin, ownership
from indexer.index.ownership import OWNER, adopt, check_installation, claim, watch_redis
from indexer.rebuild.reindex import reindex
from indexer.rebuild.retention import drop_expired_previous_index
from indexer.supervisor import IndexSupervisor
from indexer.worker import work
from schemas.redis_keys import INSTALLATION, TRACKING_STREAM
from scripts.commands.errors import describe_error
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.conftest import drop_indices, fresh_database
from tests.support.api.serving import serving
from tests.support.command import smarttrip
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.processes import environment
from tests.support.sync import ignore_progress
from tests.support.tracking.visits import event


@pytest.fixture(scope="module", autouse=True)
async def no_foreign_owner(settings: Settings, redis: Redis) -> AsyncIterator[None]:
    """Leave no names that belong to an installation of these tests: processes of later tests would be refused."""
    yield
    await redis.flushdb()
    await drop_indices(settings)


@pytest.fixture(scope="module")
async def other_settings(settings: Settings, slot: int) -> AsyncIterator[Settings]:
    """Settings of a second installation that has the names of the first, and a database of its own."""
    url = await fresh_database(settings.database_url, f"smarttrip_test_{slot}_other")
    await asyncio.to_thread(migrations.upgrade, url)
    yield settings.model_copy(update={"database_url": url, "database_direct_url": None})
    await fresh_database(settings.database_url, f"smarttrip_test_{slot}_other")


@pytest.fixture
async def side_by_side(other_settings: Settings) -> AsyncIterator[Settings]:
    """Settings of the second installation with names of its own."""
    alias = f"{other_settings.elasticsearch_alias}-other"
    settings = other_settings.model_copy(update={"redis_prefix": "other:", "elasticsearch_alias": alias})
    await drop_indices(settings)
    yield settings
    await drop_indices(settings)


@pytest.fixture
async def first(settings: Settings, catalogue: CatalogueFactory, index: str) -> str:
    """Name of the live index of the first installation, which has claimed its names."""
    await check_installation(settings)
    return index


async def indexes(es: AsyncElasticsearch, settings: Settings) -> set[str]:
    return await admin.all_names(es, settings.search_alias)


async def owner_of(es: AsyncElasticsearch, name: str) -> str | None:
    return (await admin.meta(es, name)).get(OWNER)


async def test_installations_with_own_names_never_see_each_other(
    settings: Settings, side_by_side: Settings, first: str, es: AsyncElasticsearch, redis: Redis
) -> None:
    await check_installation(side_by_side)
    second = (await reindex(side_by_side, ignore_progress)).name
    assert await indexes(es, settings) == {first}
    assert await indexes(es, side_by_side) == {second}
    async with serving(settings) as one, serving(side_by_side) as other:
        for api in (one, other):
            assert (await api.get("/api/countries")).status_code == 200
            assert (await api.post("/api/v2/recommendations", json={})).status_code == 200
        assert (await one.post("/api/events", json=event())).status_code == 202
        lengths = [await redis.xlen(prefix + TRACKING_STREAM) for prefix in ("", "other:")]
        assert lengths[0] >= 1 > lengths[1]
    for own in (settings, side_by_side):
        await reindex(own, ignore_progress)
        async with open_backends(own) as backends:
            await IndexSupervisor(own, backends).check()
        await check_installation(own)


async def test_names_of_another_installation_are_refused(
    other_settings: Settings, first: str, es: AsyncElasticsearch, redis: Redis
) -> None:
    with pytest.raises(RedisOwnedError, match="REDIS_PREFIX"):
        await check_installation(other_settings)
    with pytest.raises(IndexOwnedError, match="ELASTICSEARCH_ALIAS"):
        await check_installation(other_settings.model_copy(update={"redis_prefix": "other:"}))
    await redis.delete(f"other:{INSTALLATION}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["serve"], ["worker"], ["reindex"], ["verify"], ["rollback"], ["user", "export", "dana@example.org"]],
    ids=lambda command: command[0],
)
async def test_command_ends_with_a_sentence_that_names_the_setting(
    other_settings: Settings, first: str, command: Sequence[str]
) -> None:
    cases = [("", "REDIS_PREFIX"), (f"{uuid4().hex}:", "ELASTICSEARCH_ALIAS")]
    for prefix, setting in cases[:1] if command[0] == "user" else cases:
        env = environment(other_settings, REDIS_PREFIX=prefix, PORT=str(free_port()), LOG_LEVEL="error")
        ended = await asyncio.to_thread(smarttrip, *command, env=env)
        assert ended.returncode == ExitCode.FAILED
        assert setting in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr


def test_errors_of_foreign_names_have_an_exit_code() -> None:
    for error in (RedisOwnedError("x:"), IndexOwnedError("trips", "x")):
        described = describe_error(error)
        assert described is not None
        assert (described.sentence, described.code) == (str(error), ExitCode.FAILED)


async def test_running_worker_leaves_an_index_of_another_installation_alone(
    other_settings: Settings, first: str, es: AsyncElasticsearch
) -> None:
    async with open_backends(other_settings) as backends:
        with pytest.raises(IndexOwnedError):
            await IndexSupervisor(other_settings, backends).check()
    for operation in (reindex(other_settings, ignore_progress), drop_expired_previous_index(other_settings)):
        with pytest.raises(IndexOwnedError):
            await operation
    assert await indexes(es, other_settings) == {first}
    assert await admin.live_index(es, other_settings.search_alias) == first


async def test_index_and_keys_of_an_earlier_release_are_adopted(
    settings: Settings, other_settings: Settings, backends: Backends, first: str, redis: Redis
) -> None:
    meta = dict(await admin.meta(backends.elasticsearch, first))
    own = meta.pop(OWNER)
    await backends.elasticsearch.indices.put_mapping(index=first, meta=meta)
    await redis.delete(INSTALLATION)
    await check_installation(settings)
    await claim(backends)
    assert await owner_of(backends.elasticsearch, first) == own
    assert (await redis.get(INSTALLATION) or b"").decode() == own
    assert await admin.live_index(backends.elasticsearch, backends.alias) == first


async def test_closed_index_of_another_installation_is_noticed(
    other_settings: Settings, first: str, es: AsyncElasticsearch
) -> None:
    await es.indices.close(index=first)
    try:
        with pytest.raises(IndexOwnedError):
            await check_installation(other_settings.model_copy(update={"redis_prefix": f"{uuid4().hex}:"}))
    finally:
        await es.indices.open(index=first)


async def test_alias_that_begins_like_another_is_another(
    settings: Settings, other_settings: Settings, first: str, redis: Redis
) -> None:
    """The names of indexes of `trips-v1` begin like those of `trips`."""
    longer = other_settings.model_copy(
        update={"elasticsearch_alias": f"{settings.elasticsearch_alias}-v1", "redis_prefix": "longer:"}
    )
    try:
        await reindex(longer, ignore_progress)
        await check_installation(longer)
        await check_installation(settings)
    finally:
        async with clients.elasticsearch(settings.elasticsearch_url) as es:
            await admin.drop(es, await indexes(es, longer))


async def test_adopt_takes_names_over(
    settings: Settings, other_settings: Settings, first: str, es: AsyncElasticsearch
) -> None:
    await adopt(other_settings)
    try:
        await check_installation(other_settings)
        with pytest.raises(RedisOwnedError):
            await check_installation(settings)
    finally:
        await adopt(settings)
    await check_installation(settings)


async def test_emptied_redis_is_claimed_again(
    database: AsyncEngine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "WATCH_SECONDS", 0.01)
    watching = asyncio.create_task(watch_redis(redis, database))
    for _ in range(2):
        await redis.flushdb()
        await eventually(lambda: redis.exists(INSTALLATION))
    await redis.set(INSTALLATION, str(uuid4()))
    with pytest.raises(RedisOwnedError):
        await asyncio.wait_for(watching, 10)


async def test_worker_ends_when_its_keys_become_those_of_another_installation(
    settings: Settings, index: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "WATCH_SECONDS", 0.01)
    working = asyncio.create_task(work(settings, asyncio.Event()))
    await eventually(lambda: redis.exists(INSTALLATION))
    await redis.set(INSTALLATION, str(uuid4()))
    with pytest.raises(RedisOwnedError):
        await asyncio.wait_for(working, 20)


@pytest.mark.usefixtures("database")
async def test_servers_that_are_down_are_left_out(settings: Settings, unused_tcp_port: int) -> None:
    nowhere = f"127.0.0.1:{unused_tcp_port}"
    for update in (
        {"redis_url": f"redis://{nowhere}"},
        {"elasticsearch_url": f"http://{nowhere}"},
        {"database_url": f"postgresql+asyncpg://{nowhere}/x"},
    ):
        with capture_logs() as logs:
            await check_installation(settings.model_copy(update=update))
        assert {line["event"] for line in logs} == {"installation_not_compared"}


async def test_installation_is_made_once(settings: Settings, database: AsyncEngine) -> None:
    statement = text("SELECT id FROM smarttrip.installation")
    async with database.connect() as connection:
        before = (await connection.scalars(statement)).all()
    await asyncio.to_thread(migrations.upgrade, settings.database_url)
    async with database.connect() as connection:
        assert (await connection.scalars(statement)).all() == before
    assert len(before) == 1
