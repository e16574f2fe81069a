"""Conformance of an index: the settings, mapping and aliases that the service relies on, whatever index templates say.

Templates of the cluster add settings, mappings and aliases to every index whose name they match, and administrators
change settings later. What is stated when an index is created overrides templates; what a template adds besides is read
back, and reset where Elasticsearch allows that.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import structlog
from elasticsearch import AsyncElasticsearch, BadRequestError

from indexer.errors import IndexNotConformingError

log = structlog.get_logger()

PIPELINES: dict[str, str] = {"default_pipeline": "_none", "final_pipeline": "_none"}
RELIED_ON: dict[str, Any] = {
    **PIPELINES,
    "mode": "standard",
    "routing_partition_size": 1,
    "hidden": False,
    "max_result_window": 10_000,
    "max_terms_count": 65_536,
    "requests.cache.enable": True,
    "write.wait_for_active_shards": "1",
    "mapping.total_fields.limit": 1000,
    "mapping.depth.limit": 20,
    "mapping.coerce": True,
    "mapping.ignore_malformed": False,
}
"""Settings with their defaults in Elasticsearch, on which writes and searches rely."""
BLOCKS = {f"blocks.{name}": False for name in ("read_only", "read", "write", "metadata", "read_only_allow_delete")}
"""Settings of a new index only: later, Elasticsearch itself blocks writes when a disk is full."""
STATED: dict[str, Any] = {**RELIED_ON, **BLOCKS}

IGNORED = (
    # Set by Elasticsearch itself.
    *("uuid", "creation_date", "provided_name", "version.", "resize.", "verified_before_close"),
    # Of no effect on what is stored and found: matters of the cluster's operators.
    *("routing.allocation.", "search.slowlog.", "indexing.slowlog.", "priority", "merge.", "store.", "codec"),
    *("analysis.", "similarity.", "number_of_replicas", "auto_expand_replicas", "unassigned."),
)
"""Beginnings of the names of further settings that an index may have."""


async def conform(es: AsyncElasticsearch, name: str, asked: Mapping[str, Any], alias: str) -> None:
    """Remove what templates added to a new index, whose settings are `asked` and whose one alias is `alias`.

    Raises: IndexNotConformingError, which names what cannot be removed.
    """
    found = (await es.indices.get(index=name))[name]
    deviations = [*_mapping_deviations(found["mappings"], asked["mappings"])]
    settings = flatten(found["settings"]["index"])
    expected = {key: _text(value) for key, value in flatten(asked["settings"]["index"]).items()}
    deviations += [
        f"the setting index.{key} is {settings.get(key)}, not {value}"
        for key, value in expected.items()
        if not key.startswith(IGNORED) and value is not None and settings.get(key) != value
    ]
    for key in sorted(settings.keys() - expected.keys()):
        if not key.startswith(IGNORED) and settings[key] is not None and not await _reset(es, name, {key: None}):
            deviations.append(f"the setting index.{key} is {settings[key]}")
    if deviations:
        raise IndexNotConformingError(name, deviations)
    for added in found["aliases"].keys() - {alias}:
        log.warning("index_alias_removed", name=name, alias=added)
        await es.indices.delete_alias(index=name, name=added)
    if found["aliases"].get(alias) != {}:
        await es.indices.update_aliases(actions=[{"add": {"index": name, "alias": alias}}])


async def repair(
    es: AsyncElasticsearch, name: str, asked: Mapping[str, Any], alias: str, write_alias: str
) -> list[str]:
    """Reset what was changed on an index in use; return what cannot be reset, or may have spoilt documents."""
    found = (await es.indices.get(index=name))[name]
    settings = flatten(found["settings"]["index"])
    changed = {key: value for key, value in RELIED_ON.items() if settings.get(key, _text(value)) != _text(value)}
    deviations = [*_mapping_deviations(found["mappings"], asked["mappings"])]
    for key, value in changed.items():
        if not await _reset(es, name, {key: value}) or key in PIPELINES:
            deviations.append(f"the setting index.{key} was {settings[key]}")
    if found["aliases"].get(alias):
        await _reset_alias(es, name, alias)
    if found["aliases"].get(write_alias) != {}:
        await _reset_alias(es, name, write_alias)
    return deviations


async def _reset_alias(es: AsyncElasticsearch, name: str, alias: str) -> None:
    log.warning("index_alias_reset", name=name, alias=alias)
    await es.indices.update_aliases(actions=[{"add": {"index": name, "alias": alias}}])


async def find_deviations(es: AsyncElasticsearch, name: str, asked: Mapping[str, Any], write_alias: str) -> list[str]:
    """Return what differs from what the index was made with; nothing is changed. Raises: NotFoundError."""
    found = (await es.indices.get(index=name))[name]
    settings = flatten(found["settings"]["index"])
    is_alias_right = found["aliases"].get(write_alias) == {}
    return [
        *([] if is_alias_right else [f"the alias {write_alias}, which writes use, is missing"]),
        *_mapping_deviations(found["mappings"], asked["mappings"]),
        *(
            f"the setting index.{key} is {settings[key]}; it should be {_text(value)}"
            for key, value in STATED.items()
            if settings.get(key, _text(value)) != _text(value)
        ),
    ]


async def _reset(es: AsyncElasticsearch, name: str, settings: Mapping[str, Any]) -> bool:
    """Set settings, None for the default; return False if they can be set only when an index is created."""
    try:
        await es.indices.put_settings(index=name, settings={"index": dict(settings)})
    except BadRequestError:
        return False
    log.warning("index_settings_reset", name=name, settings=sorted(settings))
    return True


def _mapping_deviations(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs; fields that a template adds do not matter, because no document has them."""
    for field, mapping in asked["properties"].items():
        if found.get("properties", {}).get(field) != mapping:
            yield f"the field {field} has another mapping"
    if found.get("dynamic") != asked["dynamic"]:
        yield f"the mapping's dynamic is {found.get('dynamic')}"
    if found.get("_routing", {}).get("required"):
        yield "the mapping requires _routing"
    if found.get("_source", {}).keys() - {"enabled"} or found.get("_source", {}).get("enabled") is False:
        yield "the mapping does not store the whole _source"
    if found.get("runtime"):
        yield f"the mapping has runtime fields ({', '.join(sorted(found['runtime']))})"


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _text(value: object) -> object:
    """Return a setting's value as Elasticsearch returns it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_text(item) for item in value]
    return None if value is None else str(value)
