"""Collect metrics of the queues in Redis: requested jobs, and the oldest entry of the tracking stream."""

from redis.asyncio import Redis

from core.clients import redis_key
from indexer import metrics
from indexer.jobs.queue import NAME
from schemas.redis_keys import TRACKING_STREAM
from tracking import stream

PERIOD_SECONDS = 5.0


async def collect_queues(redis: Redis) -> None:
    metrics.JOB_QUEUE.set(await redis.zcard(redis_key(redis, NAME)))
    oldest = await redis.xrange(redis_key(redis, TRACKING_STREAM), count=1)
    age = await stream.server_time(redis) - stream.added_at(oldest[0][0]) if oldest else 0.0
    metrics.STREAM_OLDEST.set(max(0.0, age))
