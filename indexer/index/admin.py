"""The index in Elasticsearch: made under a name of its own, read through the alias, swapped in one call."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from indexer.errors import AliasAmbiguousError, AliasNameTakenError
from schemas.document_fields import MAPPING
from schemas.index_document import DOCUMENT_VERSION, INDEX_SETTINGS

BULK_LOAD_SETTINGS = {
    # Nobody searches it and nothing of it must survive: a reindex that fails starts afresh.
    "refresh_interval": "-1",
    "auto_expand_replicas": "false",
    "number_of_replicas": 0,
    "translog": {"durability": "async", "flush_threshold_size": "1gb"},
}
SERVING_SETTINGS = {
    "refresh_interval": INDEX_SETTINGS["refresh_interval"],
    "auto_expand_replicas": INDEX_SETTINGS["auto_expand_replicas"],
    "translog": {"durability": "request", "flush_threshold_size": None},
}


def new_name(alias: str) -> str:
    return f"{alias}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"


def write_alias(name: str) -> str:
    """The alias that writes go through, with `require_alias`: a write must not make an index that was dropped."""
    return f"{name}-writes"


def history_index(name: str) -> str:
    """The index that keeps, for each index of an alias, the latest version that was written to it, as its document.

    Documents alone don't tell: the latest write may have been a deletion.
    """
    return f"{name.rpartition('-')[0]}-history"


HISTORY = {"refresh_interval": "30s", "auto_expand_replicas": "0-1", "translog": {"durability": "async"}}


async def create(es: AsyncElasticsearch, name: str, origin: dict[str, Any]) -> None:
    """`origin` says which database it is made from, and is kept with the index."""
    await _create_history(es, history_index(name))
    await es.indices.create(
        index=name,
        aliases={write_alias(name): {}},
        mappings={**MAPPING, "_meta": {"document_version": DOCUMENT_VERSION, **origin}},
        settings={"index": {**INDEX_SETTINGS, **BULK_LOAD_SETTINGS}},
    )


async def _create_history(es: AsyncElasticsearch, name: str) -> None:
    try:
        await es.indices.create(
            index=name, aliases={write_alias(name): {}}, mappings={"dynamic": "strict"}, settings={"index": HISTORY}
        )
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise


async def finish_loading(es: AsyncElasticsearch, name: str) -> None:
    """Ends the loading: visible, safe on disk, refreshed by itself, copied to other nodes."""
    await es.indices.put_settings(index=name, settings={"index": SERVING_SETTINGS})
    patient = es.options(request_timeout=300)
    await patient.indices.refresh(index=name)
    await patient.indices.flush(index=name)


async def meta(es: AsyncElasticsearch, name: str) -> dict[str, Any]:
    mappings = await es.indices.get_mapping(index=name)
    found: dict[str, Any] = mappings[name]["mappings"].get("_meta", {})
    return found


async def live_index(es: AsyncElasticsearch, alias: str) -> str | None:
    """The name of the index that searches see. Raises AliasIsIndex and AliasOfSeveral."""
    try:
        names = list(await es.indices.get(index=alias, features="aliases"))
    except NotFoundError:
        return None
    if alias in names:
        raise AliasNameTakenError(alias)
    if len(names) > 1:
        raise AliasAmbiguousError(alias, names)
    return names[0]


SWAP_TIMEOUT = "5s"


async def swap_alias(es: AsyncElasticsearch, alias: str, old: str | None, new: str) -> None:
    """In one step, and only if the alias still is where the caller saw it; not after the caller has given up."""
    actions: list[dict[str, Any]] = [{"add": {"index": new, "alias": alias}}]
    if old is not None:
        actions.insert(0, {"remove": {"index": old, "alias": alias, "must_exist": True}})
    await es.indices.update_aliases(actions=actions, master_timeout=SWAP_TIMEOUT)


async def drop(es: AsyncElasticsearch, names: Iterable[str]) -> None:
    for name in names:
        await es.indices.delete(index=name, ignore_unavailable=True)
        await es.options(ignore_status=404).delete(index=history_index(name), id=name)


async def all_names(es: AsyncElasticsearch, alias: str) -> set[str]:
    """Indices that were made for the alias, in use or not."""
    ours = re.compile(rf"{re.escape(alias)}-\d{{20}}")
    found = await es.indices.get(index=f"{alias}-*", features="aliases", expand_wildcards="open,closed")
    return {name for name in found if ours.fullmatch(name)}


async def highest_version(es: AsyncElasticsearch, name: str) -> int:
    """Of the latest reading of Postgres that was written to it; 0 if none was.

    Raises NotFoundError, also if the index is lost that keeps the history.
    """
    noted = await _recorded_version(es, name)
    found = await es.search(index=name, size=1, sort=[{"version": "desc"}], source=False)
    versions: list[int] = [hit["sort"][0] for hit in found["hits"]["hits"]]
    return max(noted, *versions, 0)


async def _recorded_version(es: AsyncElasticsearch, name: str) -> int:
    try:
        noted = await es.get(index=history_index(name), id=name)
    except NotFoundError as missing:
        if "error" in missing.body:
            raise
        return 0
    version: int = noted["_version"]
    return version
