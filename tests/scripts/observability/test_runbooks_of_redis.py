"""Runbooks of Redis, followed in the states that they are for."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core import clients
from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from indexer.preflight.redis_server import find_redis_differences
from schemas.redis_keys import TRACKING_STREAM
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.scripts.observability.runbook_commands import needs_clients, run
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.processes import running_process

pytestmark = needs_clients

OF_TIMEOUT = 124
"""Exit code of `timeout`, where it has ended the command."""
FIGURES = r"^\d+ \d+ [\d.]+ \d+$"
PASSWORD = "secret"


@asynccontextmanager
async def redis_server(settings: Settings, *options: str) -> AsyncIterator[tuple[Settings, Redis]]:
    """Run a Redis of its own with a password; yield settings that lead to it, and a client."""
    port = free_port()
    own = settings.model_copy(update={"redis_url": f"redis://:{PASSWORD}@127.0.0.1:{port}/0"})
    command = ("redis-server", "--requirepass", PASSWORD, "--save", "", "--port", str(port), *options)
    with TemporaryDirectory() as folder:
        async with (
            running_process((*command, "--dir", folder), os.environ, port=port),
            clients.redis(own.redis_url, timeout=5) as redis,
        ):
            await eventually(lambda: responds(redis))
            yield own, redis


async def responds(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except RedisError:
        return False


async def is_full(redis: Redis) -> bool:
    """Write a little more; return whether that was rejected."""
    try:
        await redis.append("probe", b"x" * 100_000)
    except RedisError:
        return True
    return False


async def test_full_redis_is_shown_and_given_memory(settings: Settings) -> None:
    async with redis_server(settings, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as (full, redis):
        await eventually(lambda: is_full(redis))
        assert "noeviction" in await run("redis-full", "confirm", full)
        assert "probe" in await run("redis-full", "cause", full)
        await run("redis-full", "first", full)
        assert not await is_full(redis)


@pytest.mark.slow
async def test_misconfigured_redis_is_named_and_set_up(settings: Settings) -> None:
    async with redis_server(settings, "--maxmemory-policy", "allkeys-lru") as (wrong, redis):
        shown = await run("redis-misconfigured", "confirm", wrong, codes=(ExitCode.DIFFERS,))
        eviction, persistence = await find_redis_differences(redis)
        assert eviction in shown
        assert persistence in shown
        await run("redis-misconfigured", "first", wrong)
        assert await find_redis_differences(redis) == []


async def test_length_of_the_stream_is_shown(settings: Settings, redis: Redis) -> None:
    await redis.flushdb()
    prefixed = settings.model_copy(update={"redis_prefix": "other:"})
    for _ in range(7):
        await redis.xadd(f"other:{TRACKING_STREAM}", {"event": b"{}"})
    assert "7" in (await run("tracking-stream-filling", "confirm", prefixed)).splitlines()


@pytest.mark.slow
async def test_redis_that_does_not_respond_shows_no_figures(settings: Settings) -> None:
    async with FaultProxy(settings.redis_url) as proxy:
        stalling = settings.model_copy(update={"redis_url": proxy.url})
        await proxy.switch(Mode.STALL)
        shown = await run("rate-limits-unenforced", "confirm", stalling, codes=(OF_TIMEOUT,))
        await proxy.switch(Mode.PASS)
        assert not re.search(FIGURES, shown, re.MULTILINE)
        figures = await run("rate-limits-unenforced", "confirm", stalling, codes=(0, OF_TIMEOUT))
    assert re.search(FIGURES, figures, re.MULTILINE)


async def test_missing_right_to_publish_is_shown(settings: Settings) -> None:
    async with redis_server(settings) as (own, redis):
        await redis.acl_setuser("worker", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], commands=["+@all"])
        limited = own.model_copy(update={"redis_url": own.redis_url.replace("//:", "//worker:")})
        shown = await run("invalidations-unpublished", "confirm", limited)
        assert "NOPERM" in shown
        assert "worker" in await run("invalidations-unpublished", "cause", limited)
        async with clients.redis(limited.redis_url, timeout=5) as client:
            assert await publish(client, ["occurrence"]) is None


async def test_limits_for_subscribers_are_shown(settings: Settings) -> None:
    async with redis_server(settings, "--timeout", "17") as (impatient, _):
        shown = await run("invalidations-missed", "cause", impatient)
    assert "pubsub" in shown
    assert "17" in shown
