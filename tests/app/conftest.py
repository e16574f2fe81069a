from collections.abc import AsyncIterator, Collection
from decimal import Decimal

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Connection, Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.enums import Continent
from scripts import sample_data
from tests.conftest import TODAY, empty
from tests.support.api.serving import serving
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.factories import CatalogueFactory

ADMIN_KEY = "the-service-key-of-these-tests"

SAMPLE = 600
"""Departures of the sample catalogue."""


@pytest.fixture(scope="session")
def settings(settings: Settings) -> Settings:
    """Settings without rate limits, which the tests would exceed."""
    return settings.model_copy(update={"rate_limit_enabled": False})


@pytest.fixture(autouse=True)
def fresh_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render metrics for each request, so that tests see what happened just before."""
    monkeypatch.setattr("app.lifespan.METRICS_SECONDS", 0)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Collection[bytes]]:
    """Commands sent to Redis, by round trip."""
    sent: list[Collection[bytes]] = []
    send = Connection.send_packed_command

    async def send_and_record(self: Connection, commands: Collection[bytes], check_health: bool = True) -> None:
        sent.append(commands)
        await send(self, commands, check_health)

    monkeypatch.setattr(Connection, "send_packed_command", send_and_record)
    return sent


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(settings) as client:
        yield client


@pytest.fixture
async def sample_index(settings: Settings, database: AsyncEngine) -> None:
    """Fill the database and the index with a small sample catalogue."""
    await sample_data.seed(settings.database_url, SAMPLE, today=TODAY)
    await reindex(settings, lambda _progress: None)


@pytest.fixture(scope="module")
async def address(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[str]:
    """Address of a server over HTTP that has a few trips."""
    await fill(settings, engine, redis)
    with uvicorn_serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as address:
        yield address


async def fill(settings: Settings, engine: AsyncEngine, redis: Redis) -> None:
    """Replace everything stored by a few trips, with ids from 1 up, in the database and in the index."""
    await empty(engine)
    await redis.flushdb()
    await _create_trips(CatalogueFactory(engine))
    await reindex(settings, lambda progress: None)


async def _create_trips(catalogue: CatalogueFactory) -> None:
    country = await catalogue.country(continent=Continent.ASIA)
    guide, trip_type, tag = await catalogue.guide(), await catalogue.trip_type(), await catalogue.tag()
    template = await catalogue.template(
        trip_type_id=trip_type, primary_country_id=country, countries=[country], tags=[tag]
    )
    for price in range(3):
        await catalogue.occurrence(trip_template_id=template, guide_id=guide, price_override=Decimal(price))
