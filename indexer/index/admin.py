"""Administration of indices in Elasticsearch: names, aliases, settings, and the version history."""

import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from elasticsearch import ApiError, AsyncElasticsearch, AuthorizationException, BadRequestError, NotFoundError

from indexer.errors import AliasAmbiguousError, AliasNameTakenError, IndexCreationError
from indexer.index import conformance, obstacles
from schemas.document_fields import MAPPING
from schemas.index_document import DOCUMENT_VERSION, INDEX_SETTINGS

log = structlog.get_logger()

BULK_LOAD_SETTINGS = {
    # The index is not searched yet, and may be lost: a reindex that fails starts from scratch.
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
    """Return the alias that writes use, with `require_alias`: they must not create an index anew that was dropped."""
    return f"{name}-writes"


def history_index(name: str) -> str:
    """Return the name of the history index: one document for each index of the alias, with the latest version written.

    The versions of documents are not enough, because the latest write may have been a deletion.
    """
    return f"{name.rpartition('-')[0]}-history"


CREATION_SECONDS = 10
"""Seconds that Elasticsearch has for a new index, until a node has its shards."""
MARGIN_SECONDS = 5
"""Seconds in which its response arrives."""

HISTORY_MAPPING: dict[str, Any] = {"dynamic": "strict", "properties": {}}
HISTORY = {
    "number_of_shards": 1,
    "refresh_interval": "30s",
    "auto_expand_replicas": "0-1",
    "translog": {"durability": "async"},
}


async def create(es: AsyncElasticsearch, name: str, origin: dict[str, Any], *, shards: int = 1) -> None:
    """Create an empty index for a bulk load; `origin`, which identifies the database, is stored in its mapping.

    Raises: IndexCreationError, IndexNotConformingError; there is then nothing left of what was created.
    """
    if preventing := await obstacles.find_preventing_settings(es):
        raise IndexCreationError(name, "; ".join(preventing))
    history = history_index(name)
    created_history = False
    try:
        if await es.indices.exists(index=history):
            await conformance.repair(es, history, {"mappings": HISTORY_MAPPING}, history, write_alias(history))
        else:
            created_history = await _create(es, history, HISTORY_MAPPING, HISTORY)
        mapping = {**MAPPING, "_meta": {"document_version": DOCUMENT_VERSION, **origin}}
        await _create(es, name, mapping, {**INDEX_SETTINGS, **BULK_LOAD_SETTINGS, "number_of_shards": shards})
    except BaseException:
        if created_history:
            await es.indices.delete(index=history, ignore_unavailable=True)
        raise


async def _create(es: AsyncElasticsearch, name: str, mappings: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Create an index; return False if another process just did."""
    stated = {"index": {**conformance.STATED, **settings}}
    try:
        created = await es.options(request_timeout=2 * CREATION_SECONDS + MARGIN_SECONDS).indices.create(
            index=name,
            aliases={write_alias(name): {}},
            mappings=mappings,
            settings=stated,
            timeout=f"{CREATION_SECONDS}s",
            master_timeout=f"{CREATION_SECONDS}s",
        )
    except (BadRequestError, AuthorizationException) as error:
        if error.error == "resource_already_exists_exception":
            return False
        raise IndexCreationError(name, reason_of(error) + await obstacles.changed_settings(es)) from None
    try:
        if not created["shards_acknowledged"]:
            raise IndexCreationError(name, await obstacles.why_unassigned(es, name))
        await conformance.conform(es, name, {"mappings": mappings, "settings": stated}, write_alias(name))
    except BaseException:
        await es.indices.delete(index=name, ignore_unavailable=True)
        raise
    return True


async def repair(es: AsyncElasticsearch, alias: str, name: str) -> list[str]:
    """Reset what was changed on the live index and its history; return changes for which it has to be rebuilt."""
    deviations: list[str] = []
    for index, mapping in mappings_of(name).items():
        deviations += await conformance.repair(es, index, {"mappings": mapping}, alias, write_alias(index))
    return deviations


def mappings_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the mappings of a live index and of its history index, by name."""
    return {name: MAPPING, history_index(name): HISTORY_MAPPING}


def reason_of(error: ApiError) -> str:
    """Return the reason that Elasticsearch gives for an error, in one line."""
    body = error.body.get("error", {}) if isinstance(error.body, dict) else {}
    reason = body.get("reason") if isinstance(body, dict) else None
    return " ".join(str(reason or error.message).split())[:300]


async def finish_loading(es: AsyncElasticsearch, name: str) -> None:
    """End the bulk load: make the index visible, durable, refreshed periodically and replicated."""
    await es.indices.put_settings(index=name, settings={"index": SERVING_SETTINGS})
    slow = es.options(request_timeout=300)
    await slow.indices.refresh(index=name)
    await slow.indices.flush(index=name)


async def set_replicas(es: AsyncElasticsearch, alias: str, replicas: str) -> None:
    """Set the number of replicas, such as 2, or the range, such as 0-all, of the live index and the history index."""
    if "-" in replicas:
        wanted = {"auto_expand_replicas": replicas}
    else:
        wanted = {"auto_expand_replicas": "false", "number_of_replicas": replicas}
    found = await es.indices.get_settings(index=[alias, f"{alias}-history"], ignore_unavailable=True)
    for name, index in found.items():
        if not wanted.items() <= index["settings"]["index"].items():
            await es.indices.put_settings(index=name, settings={"index": wanted})


async def number_of_shards(es: AsyncElasticsearch, alias: str) -> int:
    """Return the number of shards of the live index. Raises: NotFoundError."""
    (found,) = (await es.indices.get_settings(index=alias, name="index.number_of_shards")).body.values()
    return int(found["settings"]["index"]["number_of_shards"])


async def meta(es: AsyncElasticsearch, name: str) -> dict[str, Any]:
    """Return the document version and the origin that were stored by `create`."""
    mappings = await es.indices.get_mapping(index=name)
    found: dict[str, Any] = mappings[name]["mappings"].get("_meta", {})
    return found


async def live_index(es: AsyncElasticsearch, alias: str) -> str | None:
    """Return the name of the index that searches use, or None.

    Raises: AliasNameTakenError, AliasAmbiguousError.
    """
    names = await indices_of(es, alias)
    if len(names) > 1:
        raise AliasAmbiguousError(alias, names)
    return names[0] if names else None


async def indices_of(es: AsyncElasticsearch, alias: str) -> list[str]:
    """Return the names of the indices that have the alias. Raises: AliasNameTakenError."""
    try:
        names = list(await es.indices.get(index=alias, features="aliases"))
    except NotFoundError:
        return []
    if alias in names:
        raise AliasNameTakenError(alias)
    return names


async def accepts_writes(es: AsyncElasticsearch, alias: str) -> bool:
    """Return whether Elasticsearch accepts writes, as it does not with a full disk: delete a document that is none."""
    name = history_index(new_name(alias))
    response = await es.options(ignore_status=(404, 403, 429)).delete(index=name, id="probe")
    return response.meta.status in {200, 404}


BLOCKED = "cluster_block_exception"
"""Error of what a block on an index forbids."""

SWAP_TIMEOUT = "5s"
"""Time after which Elasticsearch drops a swap that it has not begun: later, the caller has stopped waiting."""


async def swap_alias(
    es: AsyncElasticsearch, alias: str, old: str | None, new: str, public_alias: str | None = None
) -> None:
    """Move the alias atomically from `old`, which must still have it, to `new`; and `public_alias` from any index.

    Blocks that forbid it are lifted where `old` is replaced. Where there is no `old`, somebody set them on the only
    index: it raises.
    """
    actions: list[dict[str, Any]] = [{"add": {"index": new, "alias": alias}}]
    if old is not None:
        actions.insert(0, {"remove": {"index": old, "alias": alias, "must_exist": True}})
    if public_alias is not None:
        actions.insert(0, {"remove": {"index": f"{public_alias}-*", "alias": public_alias, "must_exist": False}})
        actions.append({"add": {"index": new, "alias": public_alias}})

    async def swap() -> None:
        await es.indices.update_aliases(actions=actions, master_timeout=SWAP_TIMEOUT)

    await _despite_blocks(es, [old, new] if old is not None else [], swap)


async def drop(es: AsyncElasticsearch, names: Iterable[str]) -> None:
    """Delete indices, if they exist, whatever blocks they have, and their version records."""
    for name in names:
        await _despite_blocks(es, [name], partial(es.indices.delete, index=name, ignore_unavailable=True))
        await es.options(ignore_status=404).delete(index=history_index(name), id=name)


METADATA_BLOCKS = ("blocks.read_only", "blocks.metadata")
"""Blocks under which an index can neither be deleted nor lose its aliases."""


async def _despite_blocks(es: AsyncElasticsearch, names: list[str], change: Callable[[], Awaitable[object]]) -> None:
    """Make a change of indices; lift the blocks of `names` that forbid it."""
    try:
        await change()
    except AuthorizationException as error:
        if error.error != BLOCKED or not names:
            raise
        log.warning("index_unblocked", names=names)
        await es.indices.put_settings(index=names, settings={"index": dict.fromkeys(METADATA_BLOCKS)})
        await change()


async def all_names(es: AsyncElasticsearch, alias: str) -> set[str]:
    """Return the names of all indices that were created for the alias, live or not."""
    found = await es.indices.get(index=f"{alias}-*", features="aliases", expand_wildcards="open,closed")
    return {name for name in found if _is_index_name(name, alias)}


def is_own_name(name: str, alias: str) -> bool:
    """Return whether the name is that of an index that was created for the alias, or of their history index."""
    return _is_index_name(name, alias) or name == history_index(new_name(alias))


def _is_index_name(name: str, alias: str) -> bool:
    return re.fullmatch(rf"{re.escape(alias)}-\d{{20}}", name) is not None


async def highest_version(es: AsyncElasticsearch, name: str) -> int:
    """Return the highest version that was written to the index, or 0.

    Raises: NotFoundError if the index or its history index does not exist.
    """
    recorded = await _recorded_version(es, name)
    found = await es.search(index=name, size=1, sort=[{"version": "desc"}], source=False)
    versions: list[int] = [hit["sort"][0] for hit in found["hits"]["hits"]]
    return max(recorded, *versions, 0)


async def _recorded_version(es: AsyncElasticsearch, name: str) -> int:
    try:
        record = await es.get(index=history_index(name), id=name)
    except NotFoundError as missing:
        if "error" in missing.body:
            raise
        return 0
    version: int = record["_version"]
    return version
