"""The tracking stream while no worker reads it."""

from redis.asyncio import Redis

from core.configuration.settings import Settings
from schemas.redis_keys import TRACKING_STREAM
from scripts.benchmark.comparison.tracking_stream import BenchStream
from tests.support.eventually import eventually


async def test_stream_is_emptied_as_long_as_the_block_lasts(settings: Settings, redis: Redis) -> None:
    stream = BenchStream(settings.redis_url)

    async def is_empty() -> bool:
        return not await redis.exists(TRACKING_STREAM)

    with stream.kept_empty():
        for _ in range(2):
            await redis.xadd(TRACKING_STREAM, {"event": "{}"})
            await eventually(is_empty)
    await redis.xadd(TRACKING_STREAM, {"event": "{}"})
    assert stream.length() == 1
    stream.clear()
