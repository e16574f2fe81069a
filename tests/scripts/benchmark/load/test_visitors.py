"""Visitors of the benchmark on a real API."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from scripts.benchmark.load.visit import Kind
from scripts.benchmark.load.visitors import Visitors
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.processes import SMARTTRIP, environment, running_process

SEARCH = {"selected_continents": [], "year": "all", "month": "all", "difficulty": 2}


@pytest.mark.slow
async def test_requests_of_every_kind_are_sent_and_answered(
    settings: Settings, database: AsyncEngine, catalogue: CatalogueFactory
) -> None:
    template = await catalogue.template()
    for _ in range(3):
        await catalogue.occurrence(trip_template_id=template)
    await reindex(settings, lambda _progress: None)
    port = free_port()
    env = environment(settings, RATE_LIMIT_ENABLED="true", TRUSTED_PROXIES="127.0.0.1")
    async with running_process((SMARTTRIP, "serve", "--port", str(port)), env, port=port) as serving:
        await serving.wait_until_responding()
        visitors = Visitors(serving.url, [SEARCH], seed=1)
        await visitors.resize(20)
        await eventually(lambda: {each.kind for each in visitors.sent} == set(Kind), within=90)
        await visitors.leave()
    assert all(each.is_answered for each in visitors.sent)
