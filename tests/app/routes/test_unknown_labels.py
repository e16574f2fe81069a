"""Labels that the platform adds to its enums, or renames, are served as they are and cost no response."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy import Column
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core import clients
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from indexer.rebuild.verify import verify
from schemas.enums import Continent
from schemas.tables import Base
from schemas.tables.open_enum import OpenEnum
from tests.app.routes.test_odd_rows import ITEMS, LISTS, ids, parsed, queries
from tests.conftest import drop_indices, fresh_database
from tests.support.api.serving import serving
from tests.support.factories import CatalogueFactory
from tests.support.odd_values import create_trip
from tests.support.sync import execute, ignore_progress

LABEL = "NEW_LABEL"

ENUM_COLUMNS = [
    column for table in Base.metadata.sorted_tables for column in table.columns if isinstance(column.type, OpenEnum)
]


@pytest.fixture
async def own(settings: Settings, redis: Redis) -> AsyncIterator[Settings]:
    """Settings of a database of its own, because a label cannot be removed again."""
    await redis.flushdb()
    url = await fresh_database(settings.database_url, f"{settings.elasticsearch_alias}_labels")
    await asyncio.to_thread(migrations.upgrade, url)
    own = settings.model_copy(
        update={
            "database_url": url,
            "elasticsearch_alias": f"{settings.elasticsearch_alias}_labels",
            "answer_cache_seconds": 0,
        }
    )
    yield own
    await drop_indices(own)


@pytest.fixture
async def own_engine(own: Settings) -> AsyncIterator[AsyncEngine]:
    engine = clients.postgres(own.database_url)
    yield engine
    await engine.dispose()


def test_enum_columns_are_open() -> None:
    assert {str(column) for column in ENUM_COLUMNS} == {"countries.continent", "guides.gender"}


@pytest.mark.parametrize("column", ENUM_COLUMNS, ids=str)
async def test_unknown_label_is_shown_as_it_is(own: Settings, own_engine: AsyncEngine, column: Column[str]) -> None:
    catalogue = CatalogueFactory(own_engine)
    good, odd = await create_trip(catalogue), await create_trip(catalogue)
    assert isinstance(column.type, OpenEnum)
    await execute(own_engine, f"ALTER TYPE {column.type.name} ADD VALUE '{LABEL}'")
    table = column.table.name
    await execute(own_engine, f"UPDATE {table} SET {column.name} = '{LABEL}' WHERE id = {odd[table]}")
    await reindex(own, ignore_progress)
    assert (await verify(own, repair=False)).in_sync
    shown = f'"{column.name}":"{LABEL}"'
    for settings in (own, own.model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})):
        async with serving(settings) as api:
            for endpoint in LISTS:
                for query in queries(endpoint) if endpoint.path in ITEMS else ():
                    response = await api.get(endpoint.path, params=query)
                    assert good[ITEMS[endpoint.path]] in ids(parsed(response)), (endpoint.path, query)
                    if ITEMS[endpoint.path] == table and "continent" not in query:
                        assert shown in response.text, endpoint.path
            for body in ({}, {"selected_countries": [odd["countries"]]}, {"selected_continents": ["Europe"]}):
                response = await api.post("/api/v2/recommendations", json=body)
                assert parsed(response)["count"] > 0, body


@pytest.mark.parametrize("continent", [Continent.EUROPE, Continent.ASIA], ids=str)
async def test_renamed_label_breaks_no_filter(own: Settings, own_engine: AsyncEngine, continent: Continent) -> None:
    catalogue = CatalogueFactory(own_engine)
    await create_trip(catalogue)
    await execute(own_engine, f"ALTER TYPE continent RENAME VALUE '{continent.name}' TO 'RENAMED'")
    async with serving(own.model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})) as api:
        assert parsed(await api.get("/api/countries", params={"continent": continent.value}))["count"] == 0
        found = await api.post("/api/v2/recommendations", json={"selected_continents": [continent.value]})
        assert found.status_code == 200, found.text
