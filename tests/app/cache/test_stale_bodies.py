"""Bodies that changes have outdated are served while they cannot be loaded anew."""

import time

import pytest
from redis.asyncio import Redis

from app.backends.labels import DATABASE_LABEL
from app.cache import response_cache
from app.cache.response_cache import STALE_SECONDS
from core.errors import BackendUnavailableError
from tests.support.cache import FakeLoader, SimulatedProcess, apply_change, simulated_process
from tests.support.eventually import eventually


async def test_stale_body_is_served_when_loading_fails(redis: Redis, one: SimulatedProcess) -> None:
    loader = FakeLoader()
    fresh = await one.get(loader)
    await apply_change(redis, "country", one)
    loader.error = BackendUnavailableError(DATABASE_LABEL)
    stale = await one.get(loader)
    assert (stale.identity, stale.stale, fresh.stale) == (fresh.identity, True, False)


async def test_stale_body_of_another_process_is_served(redis: Redis, one: SimulatedProcess) -> None:
    loader = FakeLoader()
    await one.get(loader)
    await apply_change(redis, "country", one)
    loader.error = BackendUnavailableError(DATABASE_LABEL)
    async with simulated_process(redis) as late:
        stale = await late.get(loader)
    assert (stale.identity, stale.stale) == (b"first", True)


async def test_stale_body_becomes_fresh_once_another_process_loads_an_equal_one(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_cache, "STALE_SECONDS", 0.05)
    loader = FakeLoader()
    await one.get(loader)
    await apply_change(redis, "country", one, other)
    loader.error = BackendUnavailableError(DATABASE_LABEL)
    assert (await one.get(loader)).stale
    loader.error = None
    assert not (await other.get(loader)).stale

    async def is_fresh() -> bool:
        return not (await one.get(loader)).stale

    await eventually(is_fresh)


async def test_failed_load_is_not_retried_by_every_request(redis: Redis, one: SimulatedProcess) -> None:
    loader = FakeLoader()
    await one.get(loader)
    await apply_change(redis, "country", one)
    loader.error = BackendUnavailableError(DATABASE_LABEL)
    began = time.monotonic()
    for _ in range(50):
        assert (await one.get(loader)).stale
    assert time.monotonic() - began < STALE_SECONDS
    assert loader.calls == 2


async def test_failure_without_a_stale_body_is_raised(one: SimulatedProcess) -> None:
    with pytest.raises(BackendUnavailableError):
        await one.get(FakeLoader(error=BackendUnavailableError(DATABASE_LABEL)))
