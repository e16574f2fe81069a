"""Cached recommendations outlive the changes that do not affect them, and no others."""

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.http_client import HttpClient, HttpResponse
from app.cache import recent_departure_changes
from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.feed.notifier import ChangeNotifier
from scripts.benchmark.load.workload import Ids, searches
from tests.conftest import TODAY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import drain, execute

SEARCHES = [{}, *searches(Ids(range(1, 30), range(1, 8), range(1, 15), TODAY.year), 14, seed=5)]

CHANGES = (
    "spots_left = CAST(:value AS int)",
    "price_override = 1000 * CAST(:value AS int) + 999",
    "start_date = start_date - CAST(:value AS int)",
    "end_date = end_date + CAST(:value AS int)",
    "status = (ARRAY['Open', 'Guaranteed', 'Last Places', 'Full', 'Cancelled'])[1 + CAST(:value AS int)]",
    "notes = repeat('!', CAST(:value AS int))",
)
TEMPLATE_CHANGE = "difficulty_level = 1 + CAST(:value AS int)"
STATEMENTS = (
    *(f"UPDATE trip_occurrences SET {change} WHERE id = :id" for change in CHANGES),
    f"UPDATE trip_templates SET {TEMPLATE_CHANGE} WHERE id = :id",
    "DELETE FROM trip_occurrences WHERE id = :id AND CAST(:value AS int) = 0",
)
"""Changes of a departure or a template, by a number below 5."""


@dataclass
class Scene:
    """An API that caches, one that does not, and a worker."""

    api: httpx2.AsyncClient
    uncached: httpx2.AsyncClient
    backends: Backends
    notifier: ChangeNotifier

    async def change(self, statement: str, **values: Any) -> None:
        await execute(self.backends.postgres, statement, **values)

    async def publish(self) -> None:
        """Bring the index up to date, and publish what changed."""
        for batch in await drain(self.backends, self.notifier.publisher, self.notifier.generation):
            self.notifier.record(batch)
        assert await self.notifier.flush()

    async def is_kept_up_to_date(self) -> bool:
        return all([await search(self.api, body) == await search(self.uncached, body) for body in SEARCHES])


async def search(api: httpx2.AsyncClient, body: Mapping[str, Any]) -> Any:
    """Return the response without what a change need not correct at once."""
    response = await api.post("/api/v2/recommendations", json=body)
    assert response.status_code == 200, response.text
    return {**response.json(), "request_id": "", "total_trips_in_db": 0}


@pytest.fixture
async def scene(
    settings: Settings, redis: Redis, sample_index: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    # An entry that a change affects is outdated at once.
    monkeypatch.setattr(recent_departure_changes, "HOLD_SECONDS", 0.0)
    async with (
        open_backends(settings) as backends,
        serving(settings) as api,
        serving(settings.model_copy(update={"answer_cache_seconds": 0})) as uncached,
    ):
        scene = Scene(api, uncached, backends, ChangeNotifier(backends, redis))
        await scene.publish()
        yield scene


async def test_cached_responses_equal_fresh_ones(scene: Scene, engine: AsyncEngine) -> None:
    choose = random.Random(3)
    assert await scene.is_kept_up_to_date()
    for number in (1, 1, 3, 12):
        for _ in range(number):
            await scene.change(choose.choice(STATEMENTS), id=choose.randint(1, 600), value=choose.randrange(5))
        await scene.publish()
        await eventually(scene.is_kept_up_to_date)


async def test_what_a_worker_without_redis_has_written_is_outdated_by_the_next_change(
    settings: Settings, scene: Scene
) -> None:
    """The index has a state then that was never published, in place of the one that responses show."""
    statement = "UPDATE trip_occurrences SET status = :status WHERE id < 20"
    async with FaultProxy(settings.redis_url) as proxy, clients.redis(proxy.url) as redis:
        other = ChangeNotifier(scene.backends, redis)
        assert await other.flush()
        for notifier in (scene.notifier, other):
            await notifier.register()
        # After what the other one published at its start.
        scene.notifier.queue_publish(["tag"])
        assert await scene.notifier.flush()
        await eventually(scene.is_kept_up_to_date)
        await proxy.switch(Mode.CUT)
        await scene.change(statement, status="Full")
        for batch in await drain(scene.backends, other.publisher, other.generation):
            other.record(batch)
        assert not await other.flush()
        await scene.change(statement, status="Cancelled")
        await scene.publish()
        await eventually(scene.is_kept_up_to_date)


async def test_only_affected_responses_are_made_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[bytes] = []
    original = HttpClient.post

    async def recording(client: HttpClient, target: str, body: bytes, fields: Mapping[str, str]) -> HttpResponse:
        requests.append(body)
        return await original(client, target, body, fields)

    monkeypatch.setattr(HttpClient, "post", recording)
    found = {index: await search(scene.api, body) for index, body in enumerate(SEARCHES)}
    shown = {index: {trip["id"] for trip in response["data"]} for index, response in found.items()}
    changed = next(iter(shown[0]))
    affected = {index for index, ids in shown.items() if changed in ids}
    # Of those that are available, so that the number of candidates stays.
    await scene.change("UPDATE trip_occurrences SET spots_left = spots_left + 1 WHERE id = :id", id=changed)
    await scene.publish()

    async def is_seen() -> bool:
        return bool(await search(scene.api, SEARCHES[0]) != found[0])

    await eventually(is_seen)
    requests.clear()
    for index in shown.keys() - {0}:
        await search(scene.api, SEARCHES[index])
    assert len(affected) < len(SEARCHES)
    assert len(affected) - 1 <= len(requests) <= 2 * (len(affected) - 1)
