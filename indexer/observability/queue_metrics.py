"""Collect metrics of the queues in Redis: requested jobs, and the oldest entry of the tracking stream."""

from redis.asyncio import Redis

from core.clients import redis_key
from indexer import metrics
from indexer.jobs.queue import NAME
from schemas.redis_keys import TRACKING_STREAM

PERIOD_SECONDS = 5.0


async def collect_queues(redis: Redis) -> None:
    metrics.JOB_QUEUE.set(await redis.zcard(redis_key(redis, NAME)))
    oldest = await redis.xrange(redis_key(redis, TRACKING_STREAM), count=1)
    seconds, microseconds = await redis.time()
    # The id of an entry begins with the time of Redis in milliseconds.
    added_at = int(oldest[0][0].partition(b"-")[0]) / 1000 if oldest else None
    age = 0.0 if added_at is None else seconds + microseconds / 1e6 - added_at
    metrics.STREAM_OLDEST.set(max(0.0, age))
