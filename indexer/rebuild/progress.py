"""Progress of a reindex, published in Redis. A Redis that is down hides it, but does not stop the reindex."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clients import redis_key
from core.concurrency.tasks import background_task
from schemas.redis_keys import REINDEX_PROGRESS

PERIOD_SECONDS = 0.5
RETENTION_SECONDS = 86_400


@dataclass(frozen=True)
class Progress:
    done: int = 0
    total: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Departures per second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        return max(0, self.total - self.done) / self.rate if self.rate else None


@asynccontextmanager
async def publishing_progress(redis: Redis) -> AsyncIterator[Callable[[Progress], None]]:
    """Publish, periodically, the progress that the block reports, and at its end whether it succeeded."""
    latest = Progress()

    def report(progress: Progress) -> None:
        nonlocal latest
        latest = progress

    async def publish_periodically() -> None:
        while True:
            await _publish(redis, "running", latest)
            await asyncio.sleep(PERIOD_SECONDS)

    state = "failed"
    try:
        async with background_task(publish_periodically()):
            yield report
        state = "done"
    finally:
        await _publish(redis, state, latest)


async def _publish(redis: Redis, state: str, progress: Progress) -> None:
    body = {"state": state, "done": progress.done, "total": progress.total, "seconds": round(progress.seconds, 1)}
    body |= {"rate": round(progress.rate, 1), "seconds_left": progress.seconds_left}
    with suppress(RedisError):
        await redis.set(redis_key(redis, REINDEX_PROGRESS), orjson.dumps(body), ex=RETENTION_SECONDS)


async def read_progress(redis: Redis) -> dict[str, Any] | None:
    """Return the fields state (running, done or failed), done, total, seconds, rate and seconds_left, or None.

    Raises: RedisError.
    """
    body = await redis.get(redis_key(redis, REINDEX_PROGRESS))
    return None if body is None else orjson.loads(body)
