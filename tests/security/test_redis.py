"""Every key in Redis expires or has a bound, so that its size does not grow with time."""

import asyncio
from ipaddress import ip_network

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from indexer.jobs import queue
from indexer.jobs.names import REINDEX
from schemas.redis_keys import GENERATION_COUNTER, GENERATION_SERVER, INSTALLATION, TRACKING_STREAM
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.processes import worker_process
from tests.support.tracking.visits import event

BOUNDED = {
    INSTALLATION: "one id",
    GENERATION_COUNTER: "one number",
    GENERATION_SERVER: "one id",
    TRACKING_STREAM: "TRACKING_LIMIT entries, and a fourth more of request logs; beyond it the API answers 503",
    queue.NAME: "jobs asked for: by the clock at most one of each, by administrators one in five seconds",
}
OWN = "own:"
"""Prefix of the installation."""
MAX_TTL = 2 * 86_400
"""Longest TTL in seconds: two windows of the longest rate of this test; jobs of arq expire after a day."""

PERSON = "203.0.113.9"


class KeyObserver:
    """Records each key that it ever sees, with its longest TTL in seconds; -1 means that it does not expire."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.seconds: dict[str, int] = {}
        self.without_prefix: set[str] = set()
        self.stopped = False

    async def scan(self) -> None:
        async for key in self._redis.scan_iter(count=1000):
            seconds = await self._redis.ttl(key)
            if seconds != -2:
                name = key.decode().removeprefix(OWN)
                if name == key.decode():
                    self.without_prefix.add(name)
                known = self.seconds.get(name, seconds)
                self.seconds[name] = -1 if -1 in (known, seconds) else max(known, seconds)

    async def watch(self) -> None:
        while not self.stopped:
            await self.scan()
            await asyncio.sleep(0.01)


async def call_every_endpoint(api: httpx2.AsyncClient) -> None:
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id:int}", "1")
        body = {**event(), "events": [event(), event()], "selected_continents": ["Asia"]}
        answer = await api.request(endpoint.method, path, json=body if endpoint.body else None)
        assert answer.status_code < 500 or answer.status_code == 503


@pytest.fixture(scope="module")
async def observer(settings: Settings, redis: Redis, trip: int) -> KeyObserver:
    """An observer of all keys, while every endpoint was called and every job ran once."""
    await redis.flushdb()
    limited = settings.model_copy(
        update={
            "admin_key": SecretStr(ADMIN_KEY),
            "trusted_proxies": [ip_network("127.0.0.1")],
            "rate_limit_default": "1000/day; 500/minute",
            "redis_prefix": OWN,
        }
    )
    observer = KeyObserver(redis)
    watching = asyncio.create_task(observer.watch())
    async with worker_process(limited), serving(limited) as api:
        api.headers.update({"X-Admin-Key": ADMIN_KEY, "X-Forwarded-For": PERSON})
        await call_every_endpoint(api)
        await queue.enqueue(limited.redis_url, "count_trips", prefix=OWN)

        async def is_stream_empty() -> bool:
            return not await redis.exists(OWN + TRACKING_STREAM) or await redis.xlen(OWN + TRACKING_STREAM) == 0

        await eventually(is_stream_empty, within=20)
        await eventually(lambda: any(name.startswith("smarttrip:reindex") for name in observer.seconds), within=20)
    observer.stopped = True
    await watching
    return observer


@pytest.fixture(scope="module")
def ttls(observer: KeyObserver) -> dict[str, int]:
    """TTLs of all keys, by the key without the installation's prefix."""
    return observer.seconds


async def test_every_redis_key_has_the_prefix_of_the_installation(observer: KeyObserver) -> None:
    """arq's keys have random ids."""
    assert {name for name in observer.without_prefix if not name.startswith("arq:")} == set()


async def test_every_redis_key_expires_or_is_bounded(ttls: dict[str, int]) -> None:
    endless = {name for name, seconds in ttls.items() if seconds == -1}
    assert endless <= set(BOUNDED)
    assert {name for name, seconds in ttls.items() if seconds > MAX_TTL} == set()


async def test_every_kind_of_redis_key_was_observed(ttls: dict[str, int]) -> None:
    """Otherwise the test above would prove little."""
    kinds = ("smarttrip:cache:5:lock:", "smarttrip:cache:5:recommendations", "smarttrip:limits:", "arq:job:", REINDEX)
    for kind in (*kinds, GENERATION_COUNTER, TRACKING_STREAM, queue.NAME):
        assert any(kind in name for name in ttls), kind


async def test_ip_addresses_expire_with_their_counters(ttls: dict[str, int]) -> None:
    with_address = {name: seconds for name, seconds in ttls.items() if PERSON in name}
    assert with_address
    assert all(
        name.startswith("smarttrip:limits:") and 0 < seconds <= MAX_TTL for name, seconds in with_address.items()
    )
