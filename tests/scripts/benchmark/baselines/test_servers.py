"""Parts of the benchmark that need the service and the baseline servers."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cache.redis_store import PREFIX
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.redis_keys import TRACKING_STREAM
from scripts import sample_data
from scripts.benchmark.baselines.servers import RESPONSE_BYTES, constant_server, database_only, event_statement
from scripts.benchmark.comparison.contestants import Contestant, generate
from scripts.benchmark.comparison.memory_growth import PORTIONS, measure_growth
from scripts.benchmark.comparison.sanity_check import compare
from scripts.benchmark.comparison.scenarios import (
    CONNECTIONS,
    CONSTANT,
    RATE_SHARE,
    SERVICE,
    Measurement,
    Pairing,
    events,
    recommendations,
    resource,
)
from scripts.benchmark.comparison.suite import LOCATIONS
from scripts.benchmark.comparison.tracking_stream import BenchStream
from scripts.benchmark.comparison.visitor_requests import (
    EVENTS,
    event_batches,
    lists,
    mixed_requests,
    session_starts,
    trip_pages,
)
from scripts.benchmark.load.workload import Ids, searches
from scripts.benchmark.processes import Server, api_server, baseline_server
from scripts.errors import CliError
from tests.conftest import TODAY, empty

pytestmark = pytest.mark.slow

SAMPLE = 600


@pytest.fixture(scope="module")
async def env(settings: Settings, engine: AsyncEngine, redis: Redis) -> dict[str, str]:
    """Return settings for the servers, with a sample catalogue in database and index."""
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, SAMPLE, today=TODAY)
    await reindex(settings, lambda _progress: None)
    return {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "ELASTICSEARCH_URL": settings.elasticsearch_url,
        "ELASTICSEARCH_ALIAS": settings.elasticsearch_alias,
        "TODAY": TODAY.isoformat(),
        "RATE_LIMIT_ENABLED": "false",
        "LOG_LEVEL": "error",
    }


@pytest.fixture(scope="module")
def service(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with api_server({**env, "ANSWER_CACHE_SECONDS": "0"}, log(tmp_path_factory)) as server:
        yield server


@pytest.fixture(scope="module")
def unindexed(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with baseline_server(database_only, env, log(tmp_path_factory)) as server:
        yield server


@pytest.fixture(scope="module")
def constant(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with baseline_server(constant_server, {**env, RESPONSE_BYTES: "100"}, log(tmp_path_factory)) as server:
        yield server


def log(folders: pytest.TempPathFactory) -> Path:
    return folders.mktemp("server") / "log"


@pytest.fixture(scope="module")
def mix() -> Sequence[dict[str, Any]]:
    return searches(Ids(range(1, 9), range(1, 4), range(1, 6), TODAY.year), 60, seed=7)


async def test_service_agrees_with_scoring_all_in_python(
    service: Server, unindexed: Server, mix: Sequence[dict[str, Any]], engine: AsyncEngine
) -> None:
    contestant = recommendations(service, [{}, *mix])
    reference = Contestant(replace(contestant.plan, url=f"{unindexed.url}/"), unindexed)
    await asyncio.to_thread(compare, contestant, reference)

    async with engine.begin() as connection:
        await connection.execute(text("UPDATE trip_occurrences SET spots_left = 0 WHERE id % 3 = 0"))
    with pytest.raises(CliError, match=r"For \{.*\} the service returns \[\(\d+, \d+\), .*; expected is \["):
        await asyncio.to_thread(compare, contestant, reference)


async def test_failed_search_of_the_sample_is_reported(service: Server, mix: Sequence[dict[str, Any]]) -> None:
    contestant = recommendations(service, mix)
    nowhere = Contestant(replace(contestant.plan, url=f"{service.url}/nowhere"), service)
    with pytest.raises(CliError, match="A search of the sample failed: status 404"):
        await asyncio.to_thread(compare, contestant, nowhere)


async def test_open_loop_has_half_the_rate_of_concurrency_8(
    service: Server, constant: Server, env: dict[str, str]
) -> None:
    pairing = Pairing(
        "reference data", cold(resource(service, LOCATIONS)), CONSTANT, cold(like_constant(service, constant))
    )
    rows = await asyncio.to_thread(lambda: list(measuring(env).rows(pairing)))
    assert [(row.name, row.concurrency) for row in rows] == [
        ("reference data", 1),
        ("reference data", 8),
        ("reference data, open", CONNECTIONS),
        ("reference data", 64),
    ]
    _, closed, opened, _ = rows
    assert opened.rate == closed.results[SERVICE].run.per_second * RATE_SHARE
    requests = [result.run.requests + result.run.errors for result in opened.results.values()]
    assert requests == pytest.approx([opened.rate * SECONDS] * 2, abs=1)
    assert all(result.memory_mb and result.memory_mb > 20 for result in opened.results.values())


async def test_row_of_events_starts_with_empty_stream(
    service: Server, constant: Server, env: dict[str, str], redis: Redis
) -> None:
    await redis.xadd(TRACKING_STREAM, {"left": "by others"}, id="1-1")
    intake = cold(events(service, 100))
    pairing = Pairing(
        "events",
        intake,
        CONSTANT,
        cold(Contestant(replace(intake.plan, url=f"{constant.url}/", statuses=(200,)), constant)),
    )
    row = await asyncio.to_thread(measuring(env).row, pairing, 8)
    assert row.results[SERVICE].run.errors == 0
    assert await redis.xlen(TRACKING_STREAM) == row.results[SERVICE].run.sent
    assert await redis.xrange(TRACKING_STREAM, max="1-1") == []


@pytest.mark.parametrize("requests", [trip_pages, lists, event_batches])
async def test_requests_of_visitors_are_answered_and_are_not_cached(
    service: Server, redis: Redis, requests: Callable[[Server, int], Contestant]
) -> None:
    await redis.flushdb()
    plan = replace(requests(service, SAMPLE).plan, requests=20, seconds=0, concurrency=4, warm_up=False)
    assert (await asyncio.to_thread(generate, plan)).errors == 0
    cached = [key async for key in redis.scan_iter(f"{PREFIX}*")]
    # The pages of a list share its total.
    totals = [key for key in cached if key.startswith(f"{PREFIX}total:".encode())]
    assert len(totals) == (1 if requests is lists else 0)
    assert len(cached) - len(totals) == (0 if requests is event_batches else 20)


async def test_session_starts_and_mix_are_answered(service: Server, mix: Sequence[dict[str, Any]]) -> None:
    for contestant in (session_starts(service), mixed_requests(service, mix, SAMPLE)):
        plan = replace(contestant.plan, requests=200, seconds=0, concurrency=4, warm_up=False)
        assert (await asyncio.to_thread(generate, plan)).errors == 0


async def test_bare_statement_stores_a_batch_of_events(
    env: dict[str, str], service: Server, engine: AsyncEngine, tmp_path: Path
) -> None:
    count = text("SELECT count(*) FROM events")
    plan = replace(event_batches(service, SAMPLE).plan, requests=3, seconds=0, warm_up=False)
    with baseline_server(event_statement, env, tmp_path / "log") as server:
        async with engine.connect() as connection:
            before = await connection.scalar(count)
        run = await asyncio.to_thread(generate, replace(plan, url=f"{server.url}/"))
    async with engine.connect() as connection:
        assert await connection.scalar(count) == before + 3 * EVENTS
    assert run.errors == 0


async def test_memory_is_recorded_after_each_portion(service: Server, mix: Sequence[dict[str, Any]]) -> None:
    plans = [kind.plan for kind in (recommendations(service, mix), resource(service, LOCATIONS), events(service, 10))]
    growth = await asyncio.to_thread(measure_growth, SAMPLE, service, plans, (4, 3, 3))
    assert growth.requests == [10 * (number + 1) for number in range(PORTIONS)]
    assert len(growth.megabytes) == PORTIONS
    assert all(20 < megabytes < 1000 for megabytes in growth.megabytes)
    assert growth.errors == 0


SECONDS = 0.2


def measuring(env: dict[str, str]) -> Measurement:
    return Measurement(SAMPLE, rounds=1, seconds=SECONDS, services=dict, stream=BenchStream(env["REDIS_URL"]))


def cold(contestant: Contestant) -> Contestant:
    return replace(contestant, plan=replace(contestant.plan, warm_up=False))


def like_constant(service: Server, constant: Server) -> Contestant:
    return Contestant(replace(resource(service, LOCATIONS).plan, url=f"{constant.url}/"), constant)
