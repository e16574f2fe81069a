"""What cached recommendations and their dependencies take in memory."""

import gc
import tracemalloc
from functools import partial
from random import Random

from msgspec.json import encode
from redis.asyncio import Redis

from app.backends.redis import ResilientRedis
from app.cache.invalidation_state import InvalidationState
from app.cache.redis_store import RedisStore
from app.cache.response_cache import ResponseCache
from app.recommendations.appendable_body import AppendableJsonBody
from app.recommendations.dependency import MAX_COMPILED, Dependency
from app.recommendations.service import LOOKUP_KINDS, SearchRequest, _read_dependency
from schemas.api.preferences import EXAMPLE, Preferences
from scoring.change_impact import ChangedDeparture, ShownList, ShownResults
from tests.scoring.builders import CONTINENTS, PRIVATE, TODAY, departure

ENTRIES = 400
COMPILED_BYTES = 25_000
"""More than a compiled search takes."""


def packed_dependency() -> bytes:
    last = (-101, "2027-01-01", 1)
    shown = ShownResults(ShownList((*range(9000, 9020),), last), ShownList((*range(9040, 9050),), last))
    return encode(Dependency(PRIVATE, CONTINENTS, shown))


async def fill(cache: ResponseCache, number: int) -> SearchRequest:
    request = SearchRequest(Preferences.model_validate({**EXAMPLE, "budget": 10_000 + number}), TODAY, gzipped=True)
    text = Random(number).randbytes(2000)

    async def load() -> bytes:
        return AppendableJsonBody.build(text, b"{}", packed_dependency(), gzipped=False).pack()

    dependency = partial(_read_dependency, request)
    await cache.get(request.key, LOOKUP_KINDS, load, 60, kind="recommendations", read_dependency=dependency)
    return request


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_cache_counts_the_memory_of_its_entries_and_retains_few_compiled_searches(redis: Redis) -> None:
    cache = ResponseCache(RedisStore(ResilientRedis(redis)), InvalidationState())
    await fill(cache, -1)
    tracemalloc.start()
    try:
        began, counted = allocated(), cache._local.currsize
        requests = [await fill(cache, number) for number in range(ENTRIES)]
        keys = [request.key for request in requests]
        del requests
        filled = allocated()
        assert filled - began <= 1.2 * (cache._local.currsize - counted)
        change = ChangedDeparture(1, [departure(spots=1), departure(spots=2)])
        for key in keys:
            entry = cache._local[key]
            assert entry.is_affected is not None
            entry.is_affected([change])
        assert allocated() - filled <= MAX_COMPILED * COMPILED_BYTES
    finally:
        tracemalloc.stop()
