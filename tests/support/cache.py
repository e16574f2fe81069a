"""Simulated API processes: each has a cache and an invalidation state of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from app.backends.redis import ResilientRedis
from app.cache.invalidation_state import InvalidationState
from app.cache.redis_store import RedisStore
from app.cache.response_cache import ResponseCache
from app.cache.subscriber import subscribe_to_invalidations
from app.http.encoded_body import EncodedBody
from core.errors import ExpectedError
from indexer.invalidation_publisher import publish
from schemas.invalidation_message import EntityKind
from tests.support.eventually import eventually

COUNTRY: frozenset[EntityKind] = frozenset(("country",))


@dataclass
class FakeLoader:
    """A loader that counts its calls; it raises `error` if set, and waits while `gate` is cleared."""

    text: str = "first"
    calls: int = 0
    error: ExpectedError | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def load(self) -> bytes:
        self.calls += 1
        text = self.text
        await self.gate.wait()
        if self.error:
            raise self.error
        return text.encode()


@dataclass
class SimulatedProcess:
    cache: ResponseCache
    invalidation: InvalidationState

    async def get(
        self, loader: FakeLoader, *, key: str = "key", depends_on: frozenset[EntityKind] = COUNTRY, ttl: float = 60
    ) -> EncodedBody:
        return await self.cache.get(key, depends_on, loader.load, ttl)

    async def text(self, loader: FakeLoader) -> str:
        return (await self.get(loader)).identity.decode()


@asynccontextmanager
async def redis_store(redis: Redis) -> AsyncIterator[RedisStore]:
    resilient = ResilientRedis(redis)
    yield RedisStore(resilient)
    # The client is the test's own.
    await resilient._pipeline.close()


@asynccontextmanager
async def simulated_process(redis: Redis, *, replica_lag_seconds: float = 0.0) -> AsyncIterator[SimulatedProcess]:
    """Run a process that receives invalidation messages."""
    invalidation = InvalidationState()
    resilient = ResilientRedis(redis)
    cache = ResponseCache(RedisStore(resilient), invalidation, replica_lag_seconds=replica_lag_seconds)
    following = asyncio.create_task(subscribe_to_invalidations(redis, invalidation))
    try:
        await eventually(lambda: invalidation.connected)
        yield SimulatedProcess(cache, invalidation)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await cache.close()
        # The client is the test's own.
        await resilient._pipeline.close()


async def apply_change(redis: Redis, kind: str, *processes: SimulatedProcess) -> None:
    """Publish a change and wait until all processes have applied it."""
    assert await publish(redis, [kind])
    generation = int(await redis.get("smarttrip:generation") or 0)
    await eventually(lambda: all(each.invalidation.current == generation for each in processes))
