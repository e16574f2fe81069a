"""What a serving process holds of the cache, as often as a test wants it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from app.backends.redis import ResilientRedis
from app.cache.invalidation import InvalidationState
from app.cache.redis_store import RedisStore
from app.cache.response_cache import ResponseCache
from app.cache.subscriber import subscribe_to_invalidations
from app.http.encoded_body import EncodedBody
from core.errors import ExpectedError
from schemas.invalidation import EntityKind
from tests.support.eventually import eventually

COUNTRY: frozenset[EntityKind] = frozenset(("country",))


@dataclass
class FakeLoader:
    """Makes bodies, counts how often, fails or waits if told to."""

    text: str = "first"
    made: int = 0
    error: ExpectedError | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def fill(self) -> bytes:
        self.made += 1
        text = self.text
        await self.gate.wait()
        if self.error:
            raise self.error
        return text.encode()


@dataclass
class SimulatedProcess:
    cache: ResponseCache
    generations: InvalidationState

    async def get(
        self, source: FakeLoader, *, key: str = "key", depends_on: frozenset[EntityKind] = COUNTRY, ttl: float = 60
    ) -> EncodedBody:
        return await self.cache.get(key, depends_on, source.fill, ttl)

    async def text(self, source: FakeLoader) -> str:
        return (await self.get(source)).identity.decode()


@asynccontextmanager
async def process(redis: Redis, *, settle_seconds: float = 0.0) -> AsyncIterator[SimulatedProcess]:
    """One that hears of changes."""
    generations = InvalidationState()
    cache = ResponseCache(RedisStore(ResilientRedis(redis)), generations, settle_seconds=settle_seconds)
    following = asyncio.create_task(subscribe_to_invalidations(redis, generations))
    try:
        await eventually(lambda: generations.following)
        yield SimulatedProcess(cache, generations)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await cache.close()
