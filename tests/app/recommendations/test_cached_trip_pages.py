"""The cached page of a departure outlives changes of other departures, and no change of what it shows."""

import random
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.factory import database as open_database
from app.repositories.trip_json import find_departures
from core.configuration.settings import Settings
from core.metrics.buffered_counter import report_counters
from tests.app.recommendations.test_cached_responses import STATEMENTS, Scene, scene
from tests.support.eventually import eventually

__all__ = ["scene"]

SHOWN = range(1, 25)
"""Departures whose pages are read; templates have the same ids."""
UPSTREAM = tuple(
    f"UPDATE {table} SET name = left(name || CAST(CAST(:value AS int) AS text), 90) WHERE id = :id"
    for table in ("companies", "guides", "tags", "trip_types")
)
"""Changes of what departures depend on."""


async def page(api: httpx2.AsyncClient, departure: int) -> Any:
    response = await api.get(f"/api/v2/occurrences/{departure}")
    return response.json()["data"] if response.status_code == 200 else None


async def fresh_pages(settings: Settings) -> Mapping[int, Any]:
    """Read the pages from Postgres."""
    database = open_database(settings)
    found = await find_departures(database, SHOWN)
    await database.close()
    return {departure: orjson.loads(found[departure]) if departure in found else None for departure in SHOWN}


async def are_fresh(settings: Settings, scene: Scene) -> bool:
    fresh = await fresh_pages(settings)
    return all([await page(scene.api, departure) == shown for departure, shown in fresh.items()])


async def test_cached_pages_equal_fresh_ones(settings: Settings, scene: Scene, engine: AsyncEngine) -> None:
    choose = random.Random(7)
    assert await are_fresh(settings, scene)
    for number in (1, 1, 2, 8):
        for _ in range(number):
            statement = choose.choice([*STATEMENTS, *UPSTREAM])
            await scene.change(statement, id=choose.choice(SHOWN), value=choose.randrange(5))
        await scene.publish()
        await eventually(lambda: are_fresh(settings, scene))


def pages_made() -> float:
    report_counters()
    return REGISTRY.get_sample_value("smarttrip_cache_lookups_total", {"source": "fill", "kind": "trips"}) or 0


async def test_pages_of_other_departures_are_kept(scene: Scene) -> None:
    before = {departure: await page(scene.api, departure) for departure in SHOWN}
    changed, *others = [departure for departure, shown in before.items() if shown is not None]
    made = pages_made()
    await scene.change("UPDATE trip_occurrences SET spots_left = spots_left + 1 WHERE id = :id", id=changed)
    await scene.publish()

    async def is_seen() -> bool:
        return bool(await page(scene.api, changed) != before[changed])

    await eventually(is_seen)
    for departure in others:
        await page(scene.api, departure)
    assert len(others) > 10
    assert pages_made() - made == 1
