"""Entries in Redis that are not ours: whatever lies under a key, every endpoint responds as without it."""

from collections.abc import Callable, Mapping

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from schemas.redis_keys import INSTALLATION
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.processes import worker_process
from tests.support.sync import assert_in_sync, execute, waiting
from tests.support.tracking.visits import event

PREFIX = "odd:"
REINDEX = "/api/admin/reindex"
"""Its response depends on the jobs in the queue, whatever other entries there are."""
MEGABYTE = 2**20

Command = tuple[str | bytes, ...]
"""Name of a command of Redis, and its arguments after the key."""

ENTRIES: Mapping[str, Callable[[bytes], Command]] = {
    "empty text": lambda _: ("SET", b""),
    "text": lambda _: ("SET", b"none of ours"),
    "bytes": lambda _: ("SET", bytes(range(256))),
    "zeros": lambda _: ("SET", bytes(64)),
    "negative number": lambda _: ("SET", b"-1"),
    "huge number": lambda _: ("SET", b"9" * 40),
    "a megabyte": lambda _: ("SET", b"x" * MEGABYTE),
    "half of it": lambda value: ("SET", value[: len(value) // 2]),
    "all but a byte": lambda value: ("SET", value[:-1]),
    "a byte more": lambda value: ("SET", value + b"\0"),
    "list": lambda _: ("RPUSH", b"item"),
    "hash": lambda _: ("HSET", b"field", b"value"),
    "set": lambda _: ("SADD", b"member"),
    "sorted set": lambda _: ("ZADD", b"1", b"member"),
    "stream": lambda _: ("XADD", b"*", b"field", b"value"),
}
"""Commands that write an entry in place of another; the argument is what that was, empty if it was no text."""


@pytest.fixture
def odd_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY), "redis_prefix": PREFIX})


async def call_every_endpoint(settings: Settings) -> dict[str, int]:
    """Return the status of every endpoint of a process that has cached nothing, when called twice."""
    statuses = {}
    async with serving(settings) as api:
        api.headers["X-Admin-Key"] = ADMIN_KEY
        for turn in ("first", "second"):
            for endpoint in ENDPOINTS:
                if endpoint.path == REINDEX:
                    continue
                response = await call(api, endpoint.method, endpoint.path, has_body=endpoint.body is not None)
                statuses[f"{endpoint.method} {endpoint.path}, {turn}"] = response.status_code
    return statuses


async def call(api: httpx2.AsyncClient, method: str, path: str, *, has_body: bool) -> httpx2.Response:
    body = {**event(), "events": [event(), event()], "selected_continents": ["Asia"]}
    return await api.request(method, path.replace("{id:int}", "1"), json=body if has_body else None)


async def overwrite_all(redis: Redis, make_command: Callable[[bytes], Command]) -> None:
    keys = {key async for key in redis.scan_iter(f"{PREFIX}*")}
    assert keys
    # By this one, processes tell that the keys are another installation's, and refuse to start.
    keys.discard((PREFIX + INSTALLATION).encode())
    for key in keys:
        value = await redis.get(key) if await redis.type(key) == b"string" else b""
        await redis.delete(key)
        name, *arguments = make_command(value or b"")
        await redis.execute_command(name, key, *arguments)  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("trip")
@pytest.mark.parametrize("entry", ENTRIES)
async def test_every_endpoint_responds_as_without_odd_entries(redis: Redis, odd_settings: Settings, entry: str) -> None:
    await redis.flushdb()
    expected = await call_every_endpoint(odd_settings)
    await overwrite_all(redis, ENTRIES[entry])
    assert await call_every_endpoint(odd_settings) == expected


@pytest.mark.usefixtures("trip")
@pytest.mark.parametrize("entry", ENTRIES)
async def test_worker_applies_changes_beside_odd_entries(
    redis: Redis, odd_settings: Settings, engine: AsyncEngine, entry: str
) -> None:
    await redis.flushdb()
    await call_every_endpoint(odd_settings)
    async with worker_process(odd_settings) as worker:
        await worker.wait_until_responding()
    await overwrite_all(redis, ENTRIES[entry])
    async with worker_process(odd_settings):
        await execute(engine, "UPDATE trip_occurrences SET spots_left = spots_left + 1")

        async def is_applied() -> bool:
            return await waiting(engine) == 0

        await eventually(is_applied, within=20)
    await assert_in_sync(odd_settings)
