"""Redis behind TLS, with an ACL user, named by Sentinels, or as a cluster, with real servers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.redis_url import parse_sentinel_url
from core.configuration.settings import Settings, SettingsError, load_settings
from indexer.errors import RedisClusterError
from indexer.index.ownership import check_redis
from schemas.redis_keys import TRACKING_STREAM
from scripts.dev_stack.ports import free_port
from scripts.drill.load_generator import Request, load_client, visitor
from scripts.drill.redis_servers import DURABLE, REDIS, RedisServer, redis_server, sentinels, tls_options
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import responds, worker_process
from tests.support.tls_proxy import CERTIFICATE

NAME = "main"


@pytest.mark.parametrize(
    "url",
    [
        "http://a/0",
        "redis+sentinel://a:1",
        "redis+sentinel://a:1/",
        "redis+sentinel:///main/0",
        "redis+sentinel://a:x/main/0",
        "redis+sentinel://a:1,/main/0",
        "redis+sentinel://a:1/main/first",
    ],
)
def test_malformed_url_is_refused_with_both_forms(settings: Settings, url: str) -> None:
    with pytest.raises(SettingsError, match=r"REDIS_URL is wrong: should be redis://.*redis\+sentinel://"):
        load_settings(**{**settings.model_dump(exclude_unset=True), "redis_url": url})


def test_parts_of_a_url_of_sentinels() -> None:
    url = parse_sentinel_url("rediss+sentinel://u:p%40@a:1,b/main/3?sentinel_password=x&ssl_ca_certs=/f")
    assert url
    assert url.sentinels == (("a", 1), ("b", 26379))
    assert (url.master, url.server_url) == ("main", "rediss://u:p%40@master/3?ssl_ca_certs=%2Ff")
    assert url.credentials == {"password": "x"}
    assert "p%40" not in repr(url)


@pytest.mark.skipif(REDIS is None, reason="needs Redis with TLS: apt-get install redis-server")
async def test_tls_and_user_are_used(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("user default off\nuser trips on >a-password ~* &* +@all\n")
    port = free_port()
    options = (*tls_options(port, CERTIFICATE), "--aclfile", str(acl))
    async with redis_server(tmp_path, *options, program=REDIS, port=port):
        trusted = f"ssl_ca_certs={CERTIFICATE}"
        async with clients.redis(f"rediss://trips:a-password@127.0.0.1:{port}/0?{trusted}", timeout=5) as redis:
            await redis.set("a", "b")
            assert await redis.get("a") == b"b"
        for wrong in (
            f"rediss://trips:a-password@127.0.0.1:{port}/0",
            f"rediss://trips:other@127.0.0.1:{port}/0?{trusted}",
            f"redis://trips:a-password@127.0.0.1:{port}/0",
        ):
            async with clients.redis(wrong, timeout=5) as refused:
                with pytest.raises((OSError, RedisError)):
                    await refused.ping()


@pytest.mark.parametrize("database", [0, 3])
async def test_cluster_is_refused_with_a_reason(settings: Settings, tmp_path: Path, database: int) -> None:
    async with redis_server(tmp_path, "--cluster-enabled", "yes") as server:
        url = f"redis://127.0.0.1:{server.port}/{database}"
        with pytest.raises(RedisClusterError, match="several keys in one step"):
            await check_redis(settings.model_copy(update={"redis_url": url}))


@asynccontextmanager
async def watched_pair(folder: Path, *options: str) -> AsyncIterator[tuple[RedisServer, RedisServer, str]]:
    """Run a master, its replica and three Sentinels; yield the servers, with these options, and the Sentinels' URL."""
    async with (
        redis_server(folder, *options) as first,
        redis_server(folder, *options, "--replicaof", "127.0.0.1", str(first.port)) as second,
        sentinels(folder, first, NAME) as watchers,
    ):
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        yield first, second, f"redis+sentinel://{hosts}/{NAME}/0"


@pytest.mark.slow
async def test_connections_follow_the_master_that_sentinels_name(tmp_path: Path) -> None:
    async with watched_pair(tmp_path) as (first, second, url), clients.redis(url, timeout=5) as redis:
        await redis.set("a", "b")
        assert await redis.wait(1, 5000) == 1
        assert (await redis.info("server"))["tcp_port"] == first.port
        first.kill()

        async def is_back() -> bool:
            try:
                return await redis.get("a") == b"b" and bool(await redis.set("c", "d"))
            except RedisError:
                return False

        await eventually(is_back, within=60)
        assert (await redis.info("server"))["tcp_port"] == second.port


@pytest.mark.slow
@pytest.mark.skipif(REDIS is None, reason="needs Redis with TLS: apt-get install redis-server")
async def test_sentinels_and_their_servers_are_reached_over_tls(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    first_options, second_options = (tls_options(port, CERTIFICATE) for port in ports)
    follower = ("--replicaof", "127.0.0.1", str(ports[0]))
    async with (
        redis_server(tmp_path, *first_options, program=REDIS, port=ports[0]) as first,
        redis_server(tmp_path, *second_options, *follower, program=REDIS, port=ports[1]),
        sentinels(tmp_path, first, NAME, certificate=CERTIFICATE) as watchers,
    ):
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        trusted = f"rediss+sentinel://{hosts}/{NAME}/0?ssl_ca_certs={CERTIFICATE}"
        async with clients.redis(trusted, timeout=5) as redis:
            await redis.set("a", "b")
            assert await redis.wait(1, 5000) == 1
            first.kill()
            await eventually(partial(serves, redis, ports[1]), within=60)
        for refused in (f"rediss+sentinel://{hosts}/{NAME}/0", f"redis+sentinel://{hosts}/{NAME}/0"):
            async with clients.redis(refused, timeout=5) as redis:
                with pytest.raises((OSError, RedisError)):
                    await redis.ping()


async def serves(redis: Redis, port: int) -> bool:
    """Return whether commands reach the server with this port, which has what was written before."""
    try:
        return bool((await redis.info("server"))["tcp_port"] == port and await redis.get("a") == b"b")
    except RedisError:
        return False


@pytest.mark.slow
async def test_failover_fails_no_request_and_events_are_stored(
    settings: Settings, database: AsyncEngine, tmp_path: Path
) -> None:
    async with watched_pair(tmp_path) as (first, _, url):
        own = settings.model_copy(update={"redis_url": url})
        async with (
            worker_process(own) as worker,
            serve_process(own) as api,
            load_client(api.url) as load,
        ):
            await eventually(partial(responds, f"{worker.url}/readyz"), within=60)
            before = await load.run(requests(), rate=30, seconds=2)
            first.kill()
            during = await load.run(requests(), rate=30, seconds=5)
            await eventually(partial(redis_is_up, api.url), within=60)
            after = await load.run(requests(), rate=30, seconds=2)
            assert [outcome for outcome in (*before, *during, *after) if not outcome.succeeded] == []

            async def events_are_stored() -> bool:
                async with database.connect() as connection:
                    stored = await connection.scalar(text("SELECT count(*) FROM events"))
                accepted = [outcome for outcome in (*during, *after) if outcome.kind == "event"]
                return int(stored or 0) >= len(accepted)

            await eventually(events_are_stored, within=60)


@pytest.mark.slow
async def test_durable_servers_lose_no_accepted_event_in_a_failover(
    settings: Settings, database: AsyncEngine, tmp_path: Path
) -> None:
    """No worker runs until the failover is over: all events of the master that dies are in its replica.

    The new master has no replica, so it refuses events, which go to Postgres.
    """
    async with watched_pair(tmp_path, *DURABLE) as (first, _, url):
        own = settings.model_copy(update={"redis_url": url})
        async with serve_process(own) as api, load_client(api.url) as load:
            loading = asyncio.create_task(load.run(events(), rate=50, seconds=8))
            await eventually(partial(has_events, own, 50), within=60)
            first.kill()
            outcomes = await loading
            await eventually(partial(redis_is_up, api.url), within=60)
            outcomes += await load.run(events(), rate=50, seconds=2)
            assert [outcome for outcome in outcomes if not outcome.succeeded] == []
            async with worker_process(own):

                async def all_are_stored() -> bool:
                    async with database.connect() as connection:
                        stored = await connection.scalar(text("SELECT count(*) FROM events"))
                    return int(stored or 0) == len(outcomes)

                await eventually(all_are_stored, within=60)


async def has_events(settings: Settings, count: int) -> bool:
    async with clients.own_redis(settings, timeout=5) as redis:
        return int(await redis.xlen(clients.redis_key(redis, TRACKING_STREAM))) >= count


def events() -> Iterator[Request]:
    while True:
        yield Request("event", "POST", "/api/events", visitor(event_type="page_view"))


def requests() -> Iterator[Request]:
    while True:
        yield Request("resource", "GET", "/api/tags")
        yield Request("event", "POST", "/api/events", visitor(event_type="page_view"))


async def redis_is_up(url: str) -> bool:
    async with http_client(url) as client:
        return bool((await client.get("/api/health")).json()["dependencies"]["redis"] == "up")
