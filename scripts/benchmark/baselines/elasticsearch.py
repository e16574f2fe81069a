"""Make the raw reference: for each search of the service a fixed body that the load generator sends directly."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from app.backends.database import Database
from app.backends.http_client import HttpClient
from app.recommendations.engine import find_recommendations
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch, search_path
from app.recommendations.trip_search.interface import SearchHits
from app.repositories.lookups import load_lookups
from core import clients
from core.configuration.settings import Settings
from schemas.api.preferences import Preferences
from scoring.context import SearchContext
from scoring.predicates import Condition
from scoring.rules import RuleGroup
from scripts.benchmark.baselines.raw_reference import reference_search


class RecordingSearch:
    """A trip search that records the reference bodies of what is searched."""

    def __init__(self, index: ElasticsearchTripSearch) -> None:
        self._index = index
        self.bodies: list[str] = []

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        self.bodies.append(orjson.dumps(reference_search(condition, rules, size)).decode())
        return await self._index.find(condition, rules, size)


def raw_searches(settings: Settings, bodies: Iterable[dict[str, Any]]) -> tuple[str, Sequence[Sequence[str]]]:
    """Return the URL, and for each request its searches: a primary and maybe a relaxed one."""
    url = settings.elasticsearch_url + search_path(settings.elasticsearch_alias, cached=False)
    return url, asyncio.run(_record(settings, bodies))


async def _record(settings: Settings, bodies: Iterable[dict[str, Any]]) -> list[list[str]]:
    assert settings.today is not None
    database = Database(clients.postgres(settings.database_url))
    async with database.read() as session:
        lookups = await load_lookups(session)
    await database.close()
    searches = []
    elasticsearch = HttpClient(settings.elasticsearch_url, seconds=30, connections=1)
    for body in bodies:
        recording = RecordingSearch(ElasticsearchTripSearch(elasticsearch, settings.elasticsearch_alias))
        await find_recommendations(recording, SearchContext(Preferences.model_validate(body), settings.today, lookups))
        searches.append(recording.bodies)
    elasticsearch.close()
    return searches
