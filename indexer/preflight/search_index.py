"""Compare the index with what the release needs; nothing is changed."""

from elasticsearch import AsyncElasticsearch, NotFoundError

from indexer.index import admin, conformance, obstacles
from indexer.index.closed_indices import find_closed
from schemas.document_fields import MAPPING


async def find_index_differences(es: AsyncElasticsearch, alias: str, public_alias: str) -> list[str]:
    """Return what is wrong with the indexes of the alias, those in use before included, and with their aliases."""
    names = sorted(await admin.all_names(es, alias) | set(await admin.indices_of(es, alias)))
    preventing = await obstacles.find_preventing_settings(es)
    differences = [f"In Elasticsearch {setting}: indexes can be neither made nor written." for setting in preventing]
    if not names:
        return [*differences, "There is no index yet; the worker builds it."]
    differences += [
        f"The index {name} is closed. The worker opens it; without one: POST /{name}/_open."
        for name in sorted(await find_closed(es, alias))
    ]
    differences += [
        f"No index has the alias {used}; the worker gives it to the best of {', '.join(names)}."
        for used in (alias, public_alias)
        if await admin.live_index(es, used) is None
    ]
    live = await admin.live_index(es, alias)
    for name in ([live] if live else names) + [admin.history_index(names[0])]:
        differences += await _describe(es, name)
    return differences


async def _describe(es: AsyncElasticsearch, name: str) -> list[str]:
    mapping = admin.HISTORY_MAPPING if name == admin.history_index(name) else MAPPING
    try:
        deviations = await conformance.find_deviations(es, name, {"mappings": mapping}, admin.write_alias(name))
    except NotFoundError:
        return [f"The index {name}, which records what was written, is missing; the worker builds both anew."]
    return [f"In the index {name}, {deviation}." for deviation in deviations]
