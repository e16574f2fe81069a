"""Compare the settings and the state of the Redis server with what the release needs."""

from typing import Any

from redis.asyncio import Redis

FULL = 0.95
"""Part of `maxmemory` from which a Redis that evicts nothing counts as full."""


async def find_redis_differences(redis: Redis) -> list[str]:
    info = await read_info(redis)
    differences = []
    policy = info["maxmemory_policy"]
    if policy.startswith("allkeys"):
        differences.append(
            f"Redis evicts any key when it is full (maxmemory-policy {policy}), also events that wait and the"
            " generation of the caches; it should be noeviction or one of volatile-*."
        )
    if not info["aof_enabled"]:
        differences.append("Redis writes no append-only file (appendonly no): a crash loses the events that wait.")
    if info["role"] != "master":
        differences.append("REDIS_URL leads to a replica of Redis, which accepts no writes.")
    used = memory_ratio(info)
    if used >= FULL and policy == "noeviction":
        differences.append(
            f"Redis is full: {used:.0%} of its maxmemory is taken and maxmemory-policy is noeviction, so it rejects"
            " writes. Raise maxmemory, or lower TRACKING_LIMIT_BYTES."
        )
    return differences


async def read_info(redis: Redis) -> dict[str, Any]:
    """Return what INFO tells; unlike CONFIG, managed services allow it."""
    info: dict[str, Any] = await redis.info()
    return info


def memory_ratio(info: dict[str, Any]) -> float:
    """Return which part of `maxmemory` is taken; 0 if there is no limit."""
    limit = info["maxmemory"]
    used: float = info["used_memory"]
    return used / limit if limit else 0.0
