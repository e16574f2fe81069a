"""An index that is synchronized with the tests' database."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.index import bulk_writer, targets, versions
from indexer.index.admin import all_names, drop, indices_of, meta
from indexer.index.keyset import MIN_ID, index_ids
from indexer.index.reconcile import find_problem
from indexer.index.targets import TargetState
from indexer.rebuild.reindex import reindex
from schemas.index_document import DOCUMENT_VERSION, INDEX_SETTINGS
from tests.conftest import drop_indices
from tests.support.factories import CatalogueFactory
from tests.support.sync import drain, ignore_progress


@pytest.fixture
async def backends(settings: Settings, database: AsyncEngine) -> AsyncIterator[Backends]:
    """Backends with an empty database, in which no index is registered."""
    async with open_backends(settings) as backends:
        yield backends


@pytest.fixture
async def no_index(settings: Settings) -> None:
    await drop_indices(settings)


@pytest.fixture
async def index(settings: Settings, backends: Backends, redis: Redis) -> str:
    """Name of an empty live index, with nothing published in Redis."""
    name = await _emptied(backends) or (await _built(settings))
    await redis.flushdb()
    return name


@pytest.fixture
async def ids(catalogue: CatalogueFactory, backends: Backends, index: str) -> dict[str, int]:
    """Ids of a departure and of all rows that it depends on, in sync with the index, and of another departure."""
    ids = {
        "company": await catalogue.company(),
        "country": await catalogue.country(),
        "type": await catalogue.trip_type(),
        "tag": await catalogue.tag(),
        "guide": await catalogue.guide(),
    }
    ids["template"] = await catalogue.template(
        company_id=ids["company"], primary_country_id=ids["country"], trip_type_id=ids["type"], tags=[ids["tag"]]
    )
    ids["trip"] = await catalogue.occurrence(trip_template_id=ids["template"], guide_id=ids["guide"])
    ids["other"] = await catalogue.occurrence()
    await drain(backends)
    return ids


async def _built(settings: Settings) -> str:
    await drop_indices(settings)
    return (await reindex(settings, ignore_progress)).name


async def _emptied(backends: Backends) -> str | None:
    """Empty the live index that the previous test left, if it is usable, because building one takes long."""
    es = backends.elasticsearch
    names = await all_names(es, backends.alias)
    live = names.intersection(await indices_of(es, backends.alias)) if names else set()
    if len(live) != 1:
        return None
    (name,) = live
    settings = (await es.indices.get_settings(index=name))[name]["settings"]["index"]
    if settings["gc_deletes"] != INDEX_SETTINGS["gc_deletes"] or "true" in settings.get("blocks", {}).values():
        return None
    async with backends.postgres.begin() as connection:
        await targets.register(connection, name)
        await targets.mark(connection, name, TargetState.LIVE)
    if (await meta(es, name))["document_version"] != DOCUMENT_VERSION or await find_problem(backends):
        return None
    await drop(es, names - live)
    await es.indices.refresh(index=name)
    ids = await index_ids(es, name, after=MIN_ID, limit=10_000)
    await bulk_writer.write(es, [name], await versions.next_version(backends.postgres), dict.fromkeys(ids))
    await es.indices.refresh(index=name)
    return name
