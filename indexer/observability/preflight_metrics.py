"""Repeat the preflight while the worker runs: how many differences there are, and how full Redis is."""

import asyncio
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.configuration.settings import Settings
from core.metrics.labels import with_values
from indexer import metrics
from indexer.preflight.comparison import PARTS, compare
from indexer.preflight.redis_server import memory_ratio, read_info

log = structlog.get_logger()

with_values(metrics.DIFFERENCES, PARTS)

PERIOD_SECONDS = 60.0
PERIODS = {"database": 10}
"""After how many periods a part is compared, where that is not one: comparing the database takes many statements."""


async def compare_forever(settings: Settings, redis: Redis, *, period_seconds: float = PERIOD_SECONDS) -> None:
    """Compare periodically, until cancelled; log each difference once, for as long as it exists."""
    known: dict[str, Sequence[str]] = {}
    count = 0
    while True:
        await _measure_memory(redis)
        for part in PARTS:
            if count % PERIODS.get(part, 1) == 0 and (found := await compare(settings, part)) is not None:
                _record(part, found, known.get(part, ()))
                known[part] = found
        await asyncio.sleep(period_seconds)
        count += 1


async def _measure_memory(redis: Redis) -> None:
    try:
        metrics.REDIS_MEMORY.set(memory_ratio(await read_info(redis)))
    except RedisError as error:
        log.warning("gauges_failed", error=type(error).__name__)


def _record(part: str, found: Sequence[str], known: Sequence[str]) -> None:
    metrics.DIFFERENCES.labels(part).set(len(found))
    for difference in found:
        if difference not in known:
            log.warning("server_differs", part=part, difference=difference)
