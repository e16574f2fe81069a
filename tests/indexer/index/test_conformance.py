"""Index templates and changed settings of a cluster cost no document: they are overridden, reset, or named in an error.

Ranges over every index setting that Elasticsearch lists, besides what templates can do to mappings and aliases.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from elasticsearch import BadRequestError

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import DocumentsRejectedError, IndexCreationError, IndexerError, IndexNotConformingError
from indexer.feed.batch import process_batch
from indexer.index import admin, bulk_writer
from indexer.index.admin import live_index
from indexer.index.reconcile import IndexProblem, find_problem
from indexer.rebuild import loader
from indexer.rebuild import reindex as module
from indexer.rebuild.reindex import reindex
from indexer.supervisor import IndexSupervisor
from schemas.tables import DeadLetter
from tests.indexer.index.test_bulk_writer import document
from tests.support.factories import CatalogueFactory
from tests.support.rows import rows
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed, waiting

ALIAS = f"odd-cluster-{os.getpid()}"
"""Of this process alone: templates apply to all indices of the cluster whose names match."""

TEMPLATES: dict[str, dict[str, Any]] = {
    "default pipeline": {"settings": {"index.default_pipeline": "missing"}},
    "final pipeline": {"settings": {"index.final_pipeline": "missing"}},
    "blocked": {"settings": {"index.blocks.write": True}},
    "small results": {"settings": {"index.max_result_window": 1}},
    "shards": {"settings": {"index.number_of_shards": 3, "index.number_of_routing_shards": 6}},
    "routing": {"mappings": {"_routing": {"required": True}}},
    "no source": {"mappings": {"_source": {"enabled": False}}},
    "part of the source": {"mappings": {"_source": {"excludes": ["trip"]}}},
    "runtime field": {"mappings": {"runtime": {"price": {"type": "keyword"}}}},
    "other types": {"mappings": {"properties": {"price": {"type": "text"}, "other": {"type": "keyword"}}}},
    "flat": {"mappings": {"subobjects": False}},
    "dynamic": {"mappings": {"dynamic": "runtime"}},
    "alias": {"aliases": {ALIAS: {}, f"{ALIAS}-all": {"filter": {"term": {"id": 7}}}}},
    "analysis": {"settings": {"index.analysis.analyzer.text.tokenizer": "standard"}},
    "meta": {"mappings": {"_meta": {"document_version": 1, "database": "other", "owner": "other"}}},
    "dynamic templates": {"mappings": {"dynamic_templates": [{"all": {"match": "*", "mapping": {"type": "keyword"}}}]}},
    "detection": {"mappings": {"date_detection": True, "numeric_detection": True}},
    "subfields": {"mappings": {"properties": {"price": {"type": "integer", "fields": {"text": {"type": "keyword"}}}}}},
    "alias of a field": {
        "mappings": {"properties": {"price": {"type": "integer"}, "cost": {"type": "alias", "path": "price"}}}
    },
    "copied field": {"mappings": {"properties": {"price": {"type": "integer", "copy_to": "id"}}}},
    "synthetic source": {"settings": {"index.mapping.source.mode": "synthetic"}},
    "other mode": {"settings": {"index.mode": "logsdb"}},
    "sorted": {"settings": {"index.sort.field": "price", "index.sort.order": "desc"}},
    "no node": {"settings": {"index.routing.allocation.enable": "none"}},
    "node of another kind": {"settings": {"index.routing.allocation.require.kind": "missing"}},
    "more shards than nodes": {"settings": {"index.routing.allocation.total_shards_per_node": 1}},
}
QUICK = {"default pipeline", "blocked", "routing", "no source", "runtime field", "alias"}
"""One template of each kind of effect; the quick suite has only these."""


WAYS = ("index", "component", "legacy")
"""Kinds of templates that may say it."""


@asynccontextmanager
async def template(backends: Backends, body: dict[str, Any], way: str = "index", **others: Any) -> AsyncIterator[None]:
    """Apply a template to new indices of ALIAS, in the block."""
    indices = backends.elasticsearch.indices
    applied: dict[str, Any] = {"name": ALIAS, "index_patterns": [f"{ALIAS}-*"]}
    async with AsyncExitStack() as made:
        if way == "legacy":
            await indices.put_template(**applied, order=900, **body)
            made.push_async_callback(indices.delete_template, name=ALIAS)
        elif way == "component":
            cluster = backends.elasticsearch.cluster
            await cluster.put_component_template(name=ALIAS, template=body)
            made.push_async_callback(cluster.delete_component_template, name=ALIAS)
            await indices.put_index_template(**applied, priority=900, composed_of=[ALIAS], **others)
            made.push_async_callback(indices.delete_index_template, name=ALIAS)
        else:
            await indices.put_index_template(**applied, priority=900, template=body, **others)
            made.push_async_callback(indices.delete_index_template, name=ALIAS)
        yield


@pytest.fixture(autouse=True)
async def no_leftovers(backends: Backends) -> AsyncIterator[None]:
    yield
    names = await backends.elasticsearch.indices.get(index=f"{ALIAS}*", expand_wildcards="all")
    await admin.drop(backends.elasticsearch, names)


async def existing(backends: Backends) -> set[str]:
    return set(await backends.elasticsearch.indices.get(index=f"{ALIAS}*", expand_wildcards="all"))


async def assert_usable_or_refused(backends: Backends) -> None:
    """Create an index; assert that it stores and finds documents, or is refused in a sentence without a trace."""
    es, name = backends.elasticsearch, admin.new_name(ALIAS)
    try:
        await admin.create(es, name, {})
    except (IndexCreationError, IndexNotConformingError) as error:
        refusal = str(error)
    else:
        await assert_usable(backends, name)
        return
    assert "index template" in refusal
    assert len(refusal) < 1000
    assert await existing(backends) == set()


async def assert_usable(backends: Backends, name: str) -> None:
    es = backends.elasticsearch
    await admin.finish_loading(es, name)
    outcomes = await bulk_writer.write(es, [name], 7, {1: document(1), 2: document(2), 3: None})
    assert outcomes == {name: bulk_writer.WriteOutcome()}
    found = await indexed(backends, name)
    assert {trip_id: (source["price"], source["trip"]) for trip_id, source in found.items()} == {
        1: (100, {}),
        2: (100, {}),
    }
    assert await admin.highest_version(es, name) == 7
    aliases = (await es.indices.get_alias(index=name))[name]["aliases"]
    assert aliases == {admin.write_alias(name): {}}
    await admin.drop(es, [name, admin.history_index(name)])


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        pytest.param(kind, way, marks=() if way == "index" and kind in QUICK else pytest.mark.slow)
        for kind in TEMPLATES
        for way in WAYS
    ],
)
async def test_template_is_overridden_or_refused(backends: Backends, kind: str, way: str) -> None:
    async with template(backends, TEMPLATES[kind], way):
        await assert_usable_or_refused(backends)


async def test_data_stream_template_is_refused(backends: Backends) -> None:
    async with template(backends, {}, data_stream={}):
        with pytest.raises(IndexCreationError):
            await admin.create(backends.elasticsearch, admin.new_name(ALIAS), {})
    assert await existing(backends) == set()


async def listed_settings(backends: Backends) -> dict[str, str]:
    """Return every index setting with its default."""
    es, name = backends.elasticsearch, admin.new_name(ALIAS)
    await admin.create(es, name, {})
    found = await es.indices.get_settings(index=name, include_defaults=True, flat_settings=True)
    await admin.drop(es, [name, admin.history_index(name)])
    return {
        key: value for key, value in {**found[name]["defaults"], **found[name]["settings"]}.items() if value is not None
    }


def odd_value(default: Any) -> Any:
    match default:
        case "true" | "false":
            return default == "false"
        case str() if default.lstrip("-").isdigit():
            return 1
        case str() if default[:-1].lstrip("-").isdigit():
            return "1s"
        case _:
            return "missing"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_setting_is_overridden_or_refused(backends: Backends) -> None:
    for key, default in (await listed_settings(backends)).items():
        try:
            async with template(backends, {"settings": {key: odd_value(default)}}):
                await assert_usable_or_refused(backends)
        except BadRequestError:
            continue  # Elasticsearch does not take the template itself.
        except AssertionError as error:
            raise AssertionError(f"{key}: {error}") from error


async def change(backends: Backends, ids: dict[str, int], spots: int) -> None:
    await execute(
        backends.postgres,
        "UPDATE trip_occurrences SET spots_left = :spots WHERE id = :trip",
        spots=spots,
        trip=ids["trip"],
    )


@pytest.mark.parametrize("key", ["index.default_pipeline", "index.final_pipeline"])
async def test_changed_pipeline_empties_no_live_index(
    settings: Settings, backends: Backends, ids: dict[str, int], index: str, key: str
) -> None:
    await backends.elasticsearch.indices.put_settings(index=index, settings={key: "missing"})
    await change(backends, ids, 5)
    batch = await process_batch(backends, retry=True)
    assert ids["trip"] in await indexed(backends)
    assert await rows(backends.postgres, DeadLetter) == []
    assert batch.done or await waiting(backends.postgres) == 1
    await IndexSupervisor(settings, backends).check()
    await drain(backends)
    assert await live_index(backends.elasticsearch, backends.alias) != index
    await assert_in_sync(settings)
    assert await find_problem(backends) is None


async def test_changed_mapping_leads_to_a_rebuild(backends: Backends, ids: dict[str, int], index: str) -> None:
    await backends.elasticsearch.indices.put_mapping(index=index, runtime={"price": {"type": "keyword"}})
    assert await find_problem(backends) is IndexProblem.ALTERED


async def test_filter_of_the_alias_is_removed(backends: Backends, ids: dict[str, int], index: str) -> None:
    await backends.elasticsearch.indices.put_alias(index=index, name=backends.alias, filter={"term": {"id": 0}})
    assert await indexed(backends) == {}
    assert await find_problem(backends) is None
    assert (await indexed(backends)).keys() == {ids["trip"], ids["other"]}


async def test_index_that_rejects_everything_loses_nothing(
    settings: Settings,
    backends: Backends,
    catalogue: CatalogueFactory,
    no_index: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    template_id = await catalogue.template()
    trips = [await catalogue.occurrence(trip_template_id=template_id) for _ in range(loader.MAX_REJECTED + 1)]
    live = (await reindex(settings, ignore_progress)).name
    before = await admin.all_names(backends.elasticsearch, backends.alias)

    async def create_odd(es: Any, name: str, origin: dict[str, Any], *, shards: int) -> None:
        await admin.create(es, name, origin, shards=shards)
        await es.indices.put_settings(index=name, settings={"index.final_pipeline": "missing"})

    monkeypatch.setattr(module, "admin", _Patched(create_odd))
    with pytest.raises(DocumentsRejectedError) as caught:
        await reindex(settings, ignore_progress)
    assert isinstance(caught.value, IndexerError)
    monkeypatch.undo()
    assert await admin.all_names(backends.elasticsearch, backends.alias) == before
    assert await live_index(backends.elasticsearch, backends.alias) == live
    assert (await indexed(backends)).keys() == set(trips)


class _Patched:
    """The module `admin` with another `create`."""

    def __init__(self, create: Any) -> None:
        self.create = create

    def __getattr__(self, name: str) -> Any:
        return getattr(admin, name)
