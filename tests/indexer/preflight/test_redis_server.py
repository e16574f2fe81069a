"""What a Redis is set to, and how full it is, is compared with what the release needs."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from core import clients
from indexer.preflight.redis_server import find_redis_differences, memory_ratio, read_info
from scripts.dev_stack.valkey import VALKEY
from scripts.drill.servers import server

POLICIES = ("noeviction", "volatile-lru", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random")


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[Redis]:
    async with server(VALKEY) as running, clients.redis(running.url, timeout=5) as redis:
        yield redis


@pytest.mark.parametrize("policy", POLICIES)
async def test_policy_that_evicts_any_key_is_named(own: Redis, policy: str) -> None:
    await own.config_set("maxmemory-policy", policy)
    found = await find_redis_differences(own)
    await own.config_set("maxmemory-policy", "noeviction")
    assert [policy in sentence for sentence in found] == ([True] if policy.startswith("allkeys") else [])


async def test_missing_append_only_file_is_named(own: Redis) -> None:
    await own.config_set("appendonly", "no")
    (found,) = await find_redis_differences(own)
    await own.config_set("appendonly", "yes")
    assert "appendonly no" in found


@pytest.mark.parametrize(("policy", "is_named"), [("noeviction", True), ("volatile-lru", False)])
async def test_full_memory_is_named_where_writes_are_rejected(own: Redis, policy: str, *, is_named: bool) -> None:
    used = (await read_info(own))["used_memory"]
    await own.config_set("maxmemory-policy", policy)
    await own.config_set("maxmemory", used)
    found = await find_redis_differences(own)
    ratio = memory_ratio(await read_info(own))
    await own.config_set("maxmemory", 0)
    await own.config_set("maxmemory-policy", "noeviction")
    assert ratio > 0.9
    assert any("Redis is full" in sentence for sentence in found) == is_named
    assert memory_ratio(await read_info(own)) == 0
