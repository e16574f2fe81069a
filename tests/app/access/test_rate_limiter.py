import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from itertools import count
from typing import Protocol

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from app.access.rate_limiter import PREFIX, RateLimiter, RateLimitGroup
from app.access.sliding_window import RateLimitResult
from app.backends.redis import ResilientRedis
from core import clients
from core.concurrency.resource_limits import DEFAULTS
from core.configuration.settings import Settings
from tests.support.api.silent_server import silent_server

CLIENTS = count()


@pytest.fixture
def client() -> str:
    """A client without earlier requests."""
    return f"address:test-{time.time_ns()}-{next(CLIENTS)}"


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def hit(limits: RateLimiter, client: str, group: RateLimitGroup = "default") -> RateLimitResult:
    result = await limits.check(group, client)
    assert result is not None
    return result


class MakeLimits(Protocol):
    def __call__(self, rates: str, url: str | None = None) -> RateLimiter:
        """A rate limiter with these rates for the default group."""
        ...


@pytest.fixture
async def limits(settings: Settings) -> AsyncIterator[MakeLimits]:
    async with AsyncExitStack() as stack:

        def make(rates: str, url: str | None = None) -> RateLimiter:
            redis = ResilientRedis(clients.redis(url or settings.redis_url))
            stack.push_async_callback(redis.close)
            return RateLimiter(redis, settings.model_copy(update={"rate_limit_default": rates}))

        yield make


async def test_rate_allows_its_amount(limits: MakeLimits, client: str) -> None:
    hourly = limits("5/hour")
    verdicts = [await hit(hourly, client) for _ in range(7)]
    assert [result.allowed for result in verdicts] == [True] * 5 + [False] * 2


async def test_concurrent_requests_are_all_counted(limits: MakeLimits, client: str) -> None:
    hourly = limits("20/hour; 100/day")
    verdicts = await asyncio.gather(*(hit(hourly, client) for _ in range(40)))
    assert sum(result.allowed for result in verdicts) == 20


async def test_rejected_request_counts_in_no_window(limits: MakeLimits, client: str) -> None:
    both = limits("2/hour; 5/day")
    verdicts = [await hit(both, client) for _ in range(9)]
    assert [window.remaining for window in verdicts[-1].windows] == [0, 3]


async def test_clients_and_groups_are_counted_separately(limits: MakeLimits, client: str) -> None:
    once = limits("1/hour")
    assert (await hit(once, client)).allowed
    assert (await hit(once, f"{client}-b")).allowed
    assert (await hit(once, client, "events")).allowed
    assert not (await hit(once, client)).allowed


async def test_rejected_client_passes_after_retry_after(limits: MakeLimits, client: str) -> None:
    quick = limits("3/second")
    while (result := await hit(quick, client)).allowed:
        pass
    await asyncio.sleep(result.retry_after)
    assert (await hit(quick, client)).allowed


async def test_previous_window_counts_proportionally(limits: MakeLimits, redis: Redis, client: str) -> None:
    hourly = limits("100/hour")
    since = (await hit(hourly, client)).windows[0].since
    await an_hour_later(redis, f"{PREFIX}:default:{client}", requests=90)
    window = (await hit(hourly, client)).windows[0]
    assert window.used == pytest.approx(90 * (1 - since / 3600) + 1, abs=0.1)


async def an_hour_later(redis: Redis, key: str, requests: int) -> None:
    """Rewrite the counters as if the client had sent this many requests an hour ago."""
    await redis.execute_command("HINCRBY", key, "3600:at", -1)  # type: ignore[no-untyped-call]
    await redis.execute_command("HSET", key, "3600:now", requests)  # type: ignore[no-untyped-call]


async def test_counts_expire(limits: MakeLimits, redis: Redis, client: str) -> None:
    await limits("5/hour; 2/minute").check("default", client)
    assert 3600 < await redis.ttl(f"{PREFIX}:default:{client}") <= 2 * 3600


async def test_check_takes_one_round_trip(limits: MakeLimits, client: str, sent: list[Collection[bytes]]) -> None:
    both = limits("5/hour; 2/minute")
    await hit(both, client)
    sent.clear()
    await hit(both, client)
    assert len(sent) == 1


async def test_refused_client_is_refused_again_without_asking_redis(
    limits: MakeLimits, client: str, sent: list[Collection[bytes]]
) -> None:
    hourly = limits("1/hour; 5/day")
    await hit(hourly, client)
    refused = await hit(hourly, client)
    sent.clear()
    again = await hit(hourly, client)
    assert not again.allowed
    assert sent == []
    assert [(window.previous, window.current) for window in again.windows] == [(0, 1), (0, 1)]
    assert again.retry_after <= refused.retry_after


async def test_refusal_costs_no_other_client_or_group(limits: MakeLimits, client: str) -> None:
    once = limits("1/hour")
    while (await hit(once, client)).allowed:
        pass
    assert (await hit(once, f"{client}-b")).allowed
    assert (await hit(once, client, "events")).allowed


async def test_redis_failure_admits_requests_and_is_counted(limits: MakeLimits, client: str) -> None:
    failures = sample("smarttrip_rate_limit_failures_total")
    assert await limits("1/hour", "redis://127.0.0.1:1/0").check("default", client) is None
    assert sample("smarttrip_rate_limit_failures_total") == failures + 1


async def test_silent_redis_admits_requests_soon(limits: MakeLimits, client: str) -> None:
    async with silent_server() as port:
        began = time.monotonic()
        assert await limits("1/hour", f"redis://127.0.0.1:{port}/0").check("default", client) is None
        assert time.monotonic() - began < DEFAULTS.redis_seconds + 0.2


async def test_script_is_loaded_again_after_a_flush(limits: MakeLimits, redis: Redis, client: str) -> None:
    hourly = limits("5/hour")
    await hit(hourly, client)
    await redis.script_flush()
    assert (await hit(hourly, client)).windows[0].remaining == 3


async def test_rejections_are_counted_by_group(limits: MakeLimits, client: str) -> None:
    refusals = sample("smarttrip_rate_limit_refusals_total", group="default")
    nothing = limits("0/hour")
    assert not (await hit(nothing, client)).allowed
    assert sample("smarttrip_rate_limit_refusals_total", group="default") == refusals + 1
