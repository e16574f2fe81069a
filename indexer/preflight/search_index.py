"""Compare the index with what the release needs; nothing is changed."""

from elasticsearch import AsyncElasticsearch

from indexer.index import admin, conformance


async def find_index_differences(es: AsyncElasticsearch, alias: str) -> list[str]:
    name = await admin.live_index(es, alias)
    if name is None:
        return ["There is no index yet; the worker builds it."]
    if await admin.alias_state(es, alias) == "closed":
        return [f"The index {name} is closed. The worker opens it; without one: POST /{name}/_open."]
    return [
        f"In the index {index}, {deviation}."
        for index, mapping in admin.mappings_of(name).items()
        for deviation in await conformance.find_deviations(es, index, {"mappings": mapping})
    ]
