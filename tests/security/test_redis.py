"""All that is kept in Redis ends by itself, or has a bound: a year of use fills it no further than a day."""

import asyncio
from ipaddress import ip_network

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from app.routes import ENDPOINTS
from core.settings import Settings
from indexer.jobs import queue
from indexer.jobs.names import REINDEX
from schemas.redis_keys import GENERATION_COUNTER, TRACKING_STREAM
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.processes import worker_process
from tests.support.tracking.visits import event

WITHOUT_END = {
    GENERATION_COUNTER: "one number",
    TRACKING_STREAM: "TRACKING_LIMIT entries, and a fourth more of request logs; beyond it the API answers 503",
    queue.NAME: "jobs asked for: by the clock at most one of each, by administrators one in five seconds",
}
LONGEST = 2 * 86_400
"""Seconds. Nothing that ends lasts longer: two windows of the longest rate of this test, and arq's jobs a day."""

PERSON = "203.0.113.9"


class Kept:
    """Every key that was ever seen, with the longest that it would still have lasted; -1 is for ever."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.seconds: dict[str, int] = {}
        self.enough = False

    async def look(self) -> None:
        async for key in self._redis.scan_iter(count=1000):
            seconds = await self._redis.ttl(key)
            if seconds != -2:
                name = key.decode()
                known = self.seconds.get(name, seconds)
                self.seconds[name] = -1 if -1 in (known, seconds) else max(known, seconds)

    async def watch(self) -> None:
        while not self.enough:
            await self.look()
            await asyncio.sleep(0.01)


async def ask_everything(api: httpx2.AsyncClient) -> None:
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id:int}", "1")
        body = {**event(), "events": [event(), event()], "selected_continents": ["Asia"]}
        answer = await api.request(endpoint.method, path, json=body if endpoint.body else None)
        assert answer.status_code < 500 or answer.status_code == 503


@pytest.fixture(scope="module")
async def kept(settings: Settings, redis: Redis, trip: int) -> dict[str, int]:
    """After everything has been asked for and done once."""
    await redis.flushdb()
    limited = settings.model_copy(
        update={
            "admin_key": SecretStr(ADMIN_KEY),
            "trusted_proxies": [ip_network("127.0.0.1")],
            "rate_limit_default": "1000/day; 500/minute",
        }
    )
    kept = Kept(redis)
    watching = asyncio.create_task(kept.watch())
    async with worker_process(limited), serving(limited) as api:
        api.headers.update({"X-Admin-Key": ADMIN_KEY, "X-Forwarded-For": PERSON})
        await ask_everything(api)
        await queue.enqueue(limited.redis_url, "count_trips")

        async def all_is_done() -> bool:
            return not await redis.exists(TRACKING_STREAM) or await redis.xlen(TRACKING_STREAM) == 0

        await eventually(all_is_done, within=20)
        await eventually(lambda: any(name.startswith("smarttrip:reindex") for name in kept.seconds), within=20)
    kept.enough = True
    await watching
    return kept.seconds


async def test_every_key_ends_by_itself_or_has_a_bound_of_its_own(kept: dict[str, int]) -> None:
    endless = {name for name, seconds in kept.items() if seconds == -1}
    assert endless <= set(WITHOUT_END)
    assert {name for name, seconds in kept.items() if seconds > LONGEST} == set()


async def test_everything_that_is_kept_has_been_seen(kept: dict[str, int]) -> None:
    """Else the test above would not say much."""
    kinds = ("smarttrip:cache:1:lock:", "smarttrip:cache:1:recommendations", "smarttrip:limits:", "arq:job:", REINDEX)
    for kind in (*kinds, GENERATION_COUNTER, TRACKING_STREAM, queue.NAME):
        assert any(kind in name for name in kept), kind


async def test_addresses_are_kept_for_as_long_as_they_are_counted(kept: dict[str, int]) -> None:
    with_address = {name: seconds for name, seconds in kept.items() if PERSON in name}
    assert with_address
    assert all(
        name.startswith("smarttrip:limits:") and 0 < seconds <= LONGEST for name, seconds in with_address.items()
    )
