"""Pages of a list share its total, which is as current as a page."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.factory import database as open_database
from app.endpoints.cached_endpoint import ListTotal
from app.http.encoded_body import EncodedBody
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from tests.conftest import TODAY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.statements import Statements

DEPARTURES = 6
LISTS = [
    address
    for endpoint in ENDPOINTS
    if endpoint.cache and endpoint.cache.shares_total
    for address in (endpoint.path, f"{endpoint.path}?include_template=false")
]
COUNT = "SELECT count(*)"


@pytest.fixture
async def departures(catalogue: CatalogueFactory) -> None:
    template = await catalogue.template()
    for day in range(DEPARTURES):
        start = TODAY + timedelta(days=day + 1)
        await catalogue.occurrence(trip_template_id=template, start_date=start, end_date=start)


def page_of(address: str, **parameters: Any) -> str:
    path = address.replace("{id:int}", "1")
    return f"{path}{'&' if '?' in path else '?'}{'&'.join(f'{name}={value}' for name, value in parameters.items())}"


async def total(api: httpx2.AsyncClient, address: str, **parameters: Any) -> int:
    number: int = (await api.get(page_of(address, **parameters))).json()["total"]
    return number


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.usefixtures("departures")
async def test_further_pages_do_not_count(api: httpx2.AsyncClient, statements: Statements, address: str) -> None:
    assert await total(api, address, limit=2) == DEPARTURES
    statements.clear()
    assert [await total(api, address, limit=2, offset=offset) for offset in (2, 4, 6, 8)] == [DEPARTURES] * 4
    assert [statement for statement in statements if statement.startswith(COUNT)] == []


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.usefixtures("departures")
async def test_change_is_seen_in_the_total_of_a_page_that_nobody_had_seen(
    api: httpx2.AsyncClient, database: AsyncEngine, redis: Redis, address: str
) -> None:
    assert await total(api, address, limit=2) == DEPARTURES
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM trip_occurrences WHERE id = 1"))
    await publish(redis, ["occurrence"])
    offsets = iter(range(1, 1000))

    async def is_current() -> bool:
        return await total(api, address, limit=2, offset=next(offsets)) == DEPARTURES - 1

    await eventually(is_current, within=2)


@pytest.mark.usefixtures("departures")
async def test_each_filter_has_a_total_of_its_own(api: httpx2.AsyncClient) -> None:
    first_two = (TODAY + timedelta(days=2)).isoformat()
    for _ in range(2):
        assert await total(api, "/api/v2/occurrences", limit=1) == DEPARTURES
        assert await total(api, "/api/v2/occurrences", limit=1, end_date=first_two) == 2
        assert await total(api, "/api/v2/occurrences", limit=1, template_id=1) == DEPARTURES
        assert await total(api, "/api/v2/occurrences", limit=1, template_id=2) == 0


@pytest.fixture
async def one_connection(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    few = settings.model_copy(update={"postgres_connections": 1, "postgres_pool_seconds": 5.0})
    database = open_database(few)
    async with serving(few, database=database) as client:
        yield client
    await database.close()


@pytest.mark.usefixtures("departures")
async def test_lists_that_are_counted_hold_no_connection(one_connection: httpx2.AsyncClient) -> None:
    addresses = [page_of("/api/v2/occurrences", month=month, include_template="false") for month in range(1, 13)]
    responses = await asyncio.gather(*map(one_connection.get, addresses))
    assert {response.status_code for response in responses} == {200}


class StaleCache:
    async def get(self, *_arguments: object, **_named: object) -> EncodedBody:
        return EncodedBody(b"7", None, "", stale=True)


async def test_outdated_total_is_not_used_for_a_current_page() -> None:
    cache: Any = StaleCache()

    async def count() -> int:
        return 8

    assert await ListTotal(cache, "total", frozenset())(count) == 8
