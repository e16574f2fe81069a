from redis.asyncio import Redis

from core.configuration.settings import Settings
from indexer import metrics
from indexer.jobs.names import VERIFY
from indexer.jobs.queue import enqueue
from indexer.observability.queue_metrics import collect_queues
from schemas.redis_keys import TRACKING_STREAM


async def test_empty_queues_are_zero(redis: Redis) -> None:
    await redis.flushdb()
    await collect_queues(redis)
    assert (metrics.JOB_QUEUE._value.get(), metrics.STREAM_OLDEST._value.get()) == (0, 0)


async def test_waiting_jobs_and_age_of_the_oldest_entry_are_measured(settings: Settings, redis: Redis) -> None:
    await redis.flushdb()
    await enqueue(settings.redis_url, VERIFY)
    seconds, _ = await redis.time()
    await redis.xadd(TRACKING_STREAM, {"event": b"{}"}, id=f"{(seconds - 90) * 1000}-0")
    await redis.xadd(TRACKING_STREAM, {"event": b"{}"})
    await collect_queues(redis)
    assert metrics.JOB_QUEUE._value.get() == 1
    assert 89 <= metrics.STREAM_OLDEST._value.get() <= 95
