"""How far a reindex is, kept in Redis for whoever asks; a Redis that is down hides it and stops nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.tasks import background_task
from schemas.redis_keys import REINDEX_PROGRESS

PERIOD_SECONDS = 0.5
KEPT_SECONDS = 86_400


@dataclass(frozen=True)
class Progress:
    done: int = 0
    total: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Departures a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        return max(0, self.total - self.done) / self.rate if self.rate else None


@asynccontextmanager
async def publishing_progress(redis: Redis) -> AsyncIterator[Callable[[Progress], None]]:
    """What the block reports is seen by others soon; that it ended, and how, as well."""
    latest = Progress()

    def report(progress: Progress) -> None:
        nonlocal latest
        latest = progress

    async def publish_often() -> None:
        while True:
            await _publish(redis, "running", latest)
            await asyncio.sleep(PERIOD_SECONDS)

    state = "failed"
    try:
        async with background_task(publish_often()):
            yield report
        state = "done"
    finally:
        await _publish(redis, state, latest)


async def _publish(redis: Redis, state: str, progress: Progress) -> None:
    body = {"state": state, "done": progress.done, "total": progress.total, "seconds": round(progress.seconds, 1)}
    body |= {"rate": round(progress.rate, 1), "seconds_left": progress.seconds_left}
    with suppress(RedisError):
        await redis.set(REINDEX_PROGRESS, orjson.dumps(body), ex=KEPT_SECONDS)


async def read_progress(redis: Redis) -> dict[str, Any] | None:
    """state (running, done or failed), done, total, seconds, rate, seconds_left. Raises RedisError."""
    body = await redis.get(REINDEX_PROGRESS)
    return None if body is None else orjson.loads(body)
