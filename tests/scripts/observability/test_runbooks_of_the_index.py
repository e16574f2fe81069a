"""Runbooks of the index, followed in the states that they are for."""

import re

import pytest
from elasticsearch import AsyncElasticsearch
from pydantic import SecretStr

from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.index.admin import indices_of
from indexer.rebuild.reindex import reindex
from schemas.index_document import DOCUMENT_VERSION
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.drill.servers import server
from scripts.errors import ExitCode
from tests.conftest import drop_indices
from tests.scripts.observability.runbook_commands import needs_clients, run
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed, is_in_sync, waiting

pytestmark = needs_clients

DIFFERING = (ExitCode.DONE, ExitCode.DIFFERS)
ADMIN_KEY = "the-key-of-an-operator"
BEYOND_THE_INDEX = "UPDATE trip_occurrences SET start_date = '12345-01-01', end_date = '12345-01-02'"
SAME_VALUE = "UPDATE trip_occurrences SET spots_left = spots_left - 1"


@pytest.mark.parametrize("runbook", ["index-behind", pytest.param("index-unusable", marks=pytest.mark.slow)])
async def test_blocked_index_is_shown_and_lifted(runbook: str, settings: Settings, backends: Backends) -> None:
    await backends.elasticsearch.indices.put_settings(index=backends.alias, settings={"index.blocks.write": True})
    await execute(backends.postgres, SAME_VALUE)
    assert "blocks.write" in await run(runbook, "confirm", settings, codes=DIFFERING)
    await run(runbook, "first", settings)
    await drain(backends)
    await assert_in_sync(settings)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["closed", "missing"])
async def test_unusable_index_is_named_and_built(state: str, settings: Settings, backends: Backends) -> None:
    if state == "closed":
        await backends.elasticsearch.indices.close(index=backends.alias)
    else:
        await drop_indices(settings)
    sentence = "is closed" if state == "closed" else "There is no index"
    assert sentence in await run("index-unusable", "confirm", settings, codes=DIFFERING)
    await run("index-unusable", "first without a worker", settings)
    await drain(backends)
    await assert_in_sync(settings)


@pytest.mark.slow
async def test_drift_is_named_and_repaired(settings: Settings, backends: Backends) -> None:
    async with backends.postgres.begin() as connection:
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await connection.exec_driver_sql(SAME_VALUE)
    assert await waiting(backends.postgres) == 0
    assert "spots" in await run("index-drift", "confirm", settings, codes=DIFFERING)
    await run("index-drift", "first", settings, codes=DIFFERING)
    await drain(backends)
    assert await is_in_sync(settings)


@pytest.mark.slow
async def test_emptied_index_is_shown_and_built_anew(settings: Settings, backends: Backends) -> None:
    for number in await indexed(backends):
        await backends.elasticsearch.delete(index=backends.alias, id=str(number), refresh=True)
    shown = await run("empty-recommendations", "confirm", settings, codes=DIFFERING)
    assert re.search(rf"^{backends.alias}\S* +0$", shown, re.MULTILINE)
    await run("empty-recommendations", "first", settings)
    await assert_in_sync(settings)


@pytest.mark.slow
async def test_aliases_of_other_document_versions_are_shown(settings: Settings, backends: Backends) -> None:
    (index,) = await indices_of(backends.elasticsearch, backends.alias)
    other = f"{settings.elasticsearch_alias}_v{DOCUMENT_VERSION + 1}"
    await backends.elasticsearch.indices.put_alias(index=index, name=other)
    shown = await run("document-versions-differ", "confirm", settings)
    assert other in shown
    assert backends.alias in shown
    assert index in await run("index-rebuild-loop", "cause", settings)


@pytest.mark.slow
async def test_template_that_matches_is_shown(settings: Settings, backends: Backends) -> None:
    pattern = f"{settings.elasticsearch_alias}*"
    name = f"{settings.elasticsearch_alias}_of_others"
    await backends.elasticsearch.indices.put_index_template(name=name, index_patterns=[pattern], priority=500)
    try:
        shown = await run("index-rejects-documents", "cause", settings)
    finally:
        await backends.elasticsearch.indices.delete_index_template(name=name)
    assert pattern in shown


@pytest.mark.slow
async def test_waiting_changes_are_shown(settings: Settings, backends: Backends) -> None:
    await execute(backends.postgres, SAME_VALUE)
    shown = await run("outbox-growing", "cause", settings)
    assert "occurrence" in shown


@pytest.mark.slow
async def test_dead_letter_is_shown_and_read_again(settings: Settings, backends: Backends) -> None:
    await execute(backends.postgres, BEYOND_THE_INDEX)
    await drain(backends)
    shown = await run("dead-letters", "confirm", settings)
    assert "occurrence" in shown
    with uvicorn_serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as api:
        retried = await run("dead-letters", "first", settings, api=api, ADMIN_KEY=ADMIN_KEY)
    assert '"retried":1' in retried
    await drain(backends)
    await execute(backends.postgres, "UPDATE trip_occurrences SET start_date = '2027-01-01', end_date = '2027-01-02'")
    await drain(backends)
    assert "occurrence" not in await run("dead-letters", "confirm", settings)


@pytest.mark.slow
async def test_full_disk_is_shown_and_blocks_until_there_is_space(
    settings: Settings, catalogue: CatalogueFactory
) -> None:
    await catalogue.occurrence()
    async with server(ELASTICSEARCH) as own:
        filling = settings.model_copy(update={"elasticsearch_url": own.url})
        await reindex(filling, ignore_progress)
        async with open_backends(filling) as backends:
            await set_watermarks(backends.elasticsearch, low="0.01%", high="0.02%", flood_stage="0.03%")
            await eventually(lambda: is_blocked(backends), within=90)
            shown = await run("elasticsearch-disk-filling", "confirm", filling)
            assert '"flood_stage" : "0.03%"' in shown
            assert re.search(rf"^{backends.alias}\S+ ", shown, re.MULTILINE)
            assert "read_only_allow_delete" in await run("index-unusable", "confirm", filling, codes=DIFFERING)
            await set_watermarks(backends.elasticsearch, low="97%", high="98%", flood_stage="99%")
            await eventually(lambda: is_writable(backends), within=90)


async def set_watermarks(es: AsyncElasticsearch, **shares: str) -> None:
    """Set from which shares of the disk on Elasticsearch takes measures; it looks every ten seconds from then on."""
    disk = "cluster.routing.allocation.disk"
    marks = {f"{disk}.watermark.{name}": share for name, share in shares.items()}
    changes = {f"{disk}.threshold_enabled": True, "cluster.info.update.interval": "10s", **marks}
    await es.cluster.put_settings(persistent=changes)


async def is_blocked(backends: Backends) -> bool:
    name = "index.blocks.read_only_allow_delete"
    (index,) = (await backends.elasticsearch.indices.get_settings(index=backends.alias, flat_settings=True)).values()
    return bool(index["settings"].get(name) == "true")


async def is_writable(backends: Backends) -> bool:
    return not await is_blocked(backends)
