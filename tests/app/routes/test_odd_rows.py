"""A row with a value that cannot be shown costs only itself: in every list, page, detail, search and comparison.

Ranges over every column of the catalogue's tables, every odd value of its type, and every endpoint that reads.
"""

import json
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from indexer.rebuild.verify import verify
from schemas.enums import Continent
from schemas.tables import (
    Base,
    Company,
    Country,
    EvaluationScenario,
    Guide,
    Tag,
    TripOccurrence,
    TripTemplate,
    TripType,
)
from schemas.tables.bounded_text import MAX_CHARACTERS, BoundedText
from tests.support.api.serving import serving
from tests.support.factories import CatalogueFactory
from tests.support.odd_values import OddRow, create_odd_rows, create_trip, odd_values, set_value
from tests.support.sync import execute, ignore_progress

TABLES: tuple[type[Base], ...] = (Company, Country, Guide, Tag, TripOccurrence, TripTemplate, TripType)

PUBLIC = [endpoint for endpoint in ENDPOINTS if endpoint.method == "GET" and not endpoint.admin]
LISTS = [endpoint for endpoint in PUBLIC if "{id" not in endpoint.path and endpoint.response is not None]
BY_ID = [endpoint for endpoint in PUBLIC if "{id" in endpoint.path]

ITEMS = {
    "/api/locations": "countries",
    "/api/countries": "countries",
    "/api/guides": "guides",
    "/api/trip-types": "trip_types",
    "/api/tags": "tags",
    "/api/v2/companies": "companies",
    "/api/v2/templates": "trip_templates",
    "/api/v2/occurrences": "trip_occurrences",
    "/api/v2/trip-occurrences": "trip_occurrences",
}
"""The table whose rows a list shows, by path."""
DETAILS = {
    "countries": "/api/countries/{}",
    "guides": "/api/guides/{}",
    "companies": "/api/v2/companies/{}",
    "trip_templates": "/api/v2/templates/{}",
    "trip_occurrences": "/api/v2/occurrences/{}",
}
OWNED = {
    "/api/v2/companies/{}/templates": "companies",
    "/api/v2/templates/{}/occurrences": "trip_templates",
}
"""Lists of what belongs to a row of a table."""


def test_every_endpoint_that_reads_by_id_is_called() -> None:
    assert {endpoint.path.replace("{id:int}", "{}") for endpoint in BY_ID} == {*DETAILS.values(), *OWNED}


def reject_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def parsed(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, (response.url, response.text[:300])
    return dict(json.loads(response.content, parse_constant=reject_constant))


def ids(body: dict[str, Any]) -> list[int]:
    return [item["id"] for item in body["countries" if "countries" in body else "data"]]


async def assert_served(api: httpx2.AsyncClient, good: dict[str, int], odd: list[OddRow]) -> None:
    for endpoint in LISTS:
        for query in queries(endpoint):
            response = await api.get(endpoint.path, params=query)
            if endpoint.path in ITEMS:
                assert good[ITEMS[endpoint.path]] in ids(parsed(response)), (endpoint.path, query)
            else:
                assert response.status_code < 400, (endpoint.path, response.text[:300])
    for row in odd:
        for path in {
            DETAILS[table].format(row.ids[table]) for table in (row.table, "trip_occurrences") if table in DETAILS
        }:
            assert (await api.get(path)).status_code in (200, 404), (path, row)
        for path, owner in OWNED.items():
            parsed(await api.get(path.format(row.ids[owner])))


def queries(endpoint: Endpoint) -> list[dict[str, str]]:
    if endpoint.query is None or endpoint.path not in ITEMS:
        return [{}]
    queries = [{}, {"continent": Continent.EUROPE.value}] if "continent" in endpoint.query.model_fields else [{}]
    for name in ("include_occurrences", "include_template"):
        if name in endpoint.query.model_fields:
            queries += [{name: "true"}, {name: "false"}]
    if "limit" in endpoint.query.model_fields:
        queries = [{**query, "limit": "100"} for query in queries]
    return queries


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__tablename__)
async def test_odd_value_costs_only_its_row(
    settings: Settings, database: AsyncEngine, catalogue: CatalogueFactory, table: type[Base]
) -> None:
    good = await create_trip(catalogue)
    odd = [row async for row in create_odd_rows(database, table)]
    assert odd
    uncached = settings.model_copy(update={"answer_cache_seconds": 0})
    report = await reindex(settings, ignore_progress)
    assert good["trip_occurrences"] not in report.refused
    compared = await verify(settings, repair=False)
    assert compared.in_sync, compared.differences
    async with serving(uncached) as api:
        await assert_served(api, good, odd)
        assert parsed(await api.post("/api/v2/recommendations", json={}))["count"] > 0
        prices = {"budget": 2000, "min_duration": 1, "max_duration": 30, "year": "2027", "month": "1"}
        assert parsed(await api.post("/api/v2/recommendations", json=prices))["count"] > 0
    async with serving(uncached.model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})) as api:
        for body in ({}, prices):
            fallback = await api.post("/api/v2/recommendations", json=body)
            assert good["trip_occurrences"] in ids(parsed(fallback)), body
            assert fallback.headers["Warning"]


async def test_long_text_is_cut(settings: Settings, database: AsyncEngine, catalogue: CatalogueFactory) -> None:
    trip = await create_trip(catalogue)
    for table in TABLES:
        for column in table.__table__.columns:
            if isinstance(column.type, BoundedText):
                name = table.__tablename__
                assert await set_value(database, name, column.name, "repeat('x', 1000000)", trip[name])
    report = await reindex(settings, ignore_progress)
    assert report.refused == {}
    async with serving(settings) as api:
        for endpoint in LISTS:
            assert longest(parsed(await api.get(endpoint.path))) <= MAX_CHARACTERS, endpoint.path
        found = parsed(await api.post("/api/v2/recommendations", json={}))
        assert found["count"] == 1
        assert longest(found) == MAX_CHARACTERS


def longest(value: Any) -> int:
    """Return the length of the longest text in a JSON value."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return max(map(longest, items), default=0)
    return len(value) if isinstance(value, str) else 0


async def test_odd_scenario_costs_only_itself(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    columns = EvaluationScenario.__table__.columns
    insert = "INSERT INTO evaluation_scenarios (name, preferences) VALUES (:name, '{}')"
    await execute(database, insert, name="good")
    number = 1
    for column in columns:
        for value in odd_values(column):
            await execute(database, insert, name=f"odd {column.name} {value}"[:50])
            number += 1
            await set_value(database, "evaluation_scenarios", column.name, value, number)
    async with serving(settings) as api:
        listed = await api.get("/api/evaluation/scenarios")
        assert 1 in ids(parsed(listed))
        assert (await api.post("/api/evaluation/run", json={})).status_code in (200, 503)
