"""What a serving process holds of the cache, as often as a test wants it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from app.backends.redis import GuardedRedis
from app.cache import Cache, CachedBody, Generations, Kind, SharedLevel
from app.cache.subscriber import follow_changes
from app.http.errors import ApiError
from tests.support.eventually import eventually

COUNTRY: frozenset[Kind] = frozenset(("country",))


@dataclass
class Source:
    """Makes bodies, counts how often, fails or waits if told to."""

    text: str = "first"
    made: int = 0
    error: ApiError | None = None
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
class Process:
    cache: Cache
    generations: Generations

    async def get(
        self, source: Source, *, key: str = "key", depends_on: frozenset[Kind] = COUNTRY, ttl: float = 60
    ) -> CachedBody:
        return await self.cache.get(key, depends_on, source.fill, ttl)

    async def text(self, source: Source) -> str:
        return (await self.get(source)).identity.decode()


@asynccontextmanager
async def process(redis: Redis, *, settle_seconds: float = 0.0) -> AsyncIterator[Process]:
    """One that hears of changes."""
    generations = Generations()
    cache = Cache(SharedLevel(GuardedRedis(redis)), generations, settle_seconds=settle_seconds)
    following = asyncio.create_task(follow_changes(redis, generations))
    try:
        await eventually(lambda: generations.following)
        yield Process(cache, generations)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await cache.close()
