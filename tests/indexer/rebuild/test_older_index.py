"""An Elasticsearch that is back with an older state, as after a restored snapshot."""

from collections.abc import Mapping
from typing import Any

from elasticsearch import AsyncElasticsearch

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index.admin import history_index
from indexer.rebuild.verify import verify
from tests.support.factories import CatalogueFactory
from tests.support.sync import drain, execute

NOT_STATED = {"creation_date", "provided_name", "uuid", "version", "routing"}
"""Settings of an index that are not stated when it is created."""

State = Mapping[str, tuple[Mapping[str, Any], list[dict[str, Any]]]]
"""Definition and documents, with their versions, of each index."""


async def save(es: AsyncElasticsearch, names: list[str]) -> State:
    await es.indices.refresh(index=names)
    definitions = await es.indices.get(index=names)
    found = {name: await es.search(index=name, version=True, size=1000) for name in names}
    return {name: (definitions[name], found[name]["hits"]["hits"]) for name in names}


async def restore(es: AsyncElasticsearch, state: State) -> None:
    for name, (definition, documents) in state.items():
        stated = {key: value for key, value in definition["settings"]["index"].items() if key not in NOT_STATED}
        await es.indices.delete(index=name)
        await es.indices.create(
            index=name, aliases=definition["aliases"], mappings=definition["mappings"], settings={"index": stated}
        )
        for hit in documents:
            await es.index(
                index=name,
                id=hit["_id"],
                document=hit["_source"],
                version=hit["_version"],
                version_type="external_gte",
                refresh=True,
            )


async def test_older_state_of_the_index_is_found_and_repaired(
    settings: Settings, backends: Backends, catalogue: CatalogueFactory, index: str
) -> None:
    template = await catalogue.template()
    changed, deleted, _ = [await catalogue.occurrence(trip_template_id=template) for _ in range(3)]
    await drain(backends)
    older = await save(backends.elasticsearch, [index, history_index(index)])
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=changed)
    await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :id", id=deleted)
    added = await catalogue.occurrence(trip_template_id=template)
    await drain(backends)
    await restore(backends.elasticsearch, older)
    report = await verify(settings, repair=True)
    found = {difference.trip_id: difference.fields for difference in report.differences}
    assert found == {changed: ("spots", "trip"), deleted: ("left over",), added: ("missing",)}
    await drain(backends)
    assert (await verify(settings, repair=False)).in_sync
