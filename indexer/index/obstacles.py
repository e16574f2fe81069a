"""Say what keeps Elasticsearch from having our indexes: settings of the cluster, rules by which no node takes one."""

from collections.abc import Iterator, Mapping
from typing import Any

from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from indexer.index.conformance import flatten

PREVENTING = {
    "cluster.blocks.read_only": "true",
    "cluster.blocks.read_only_allow_delete": "true",
    # Each bulk request names the index of versions beside that of the documents.
    "rest.action.multi.allow_explicit_index": "false",
}
"""Settings by which no index of ours can be made or written, with the value that they must not have."""
PARTS = ("cluster.blocks", "rest.action.multi")
LEVELS = ("defaults", "persistent", "transient")
"""Where settings are, from weak to strong."""

MAX_CHARACTERS = 500
"""Of all explanations or settings together: a sentence has to stay one."""


async def find_preventing_settings(es: AsyncElasticsearch) -> list[str]:
    """Return, as parts of sentences, the settings by which no index can be made or written."""
    parts = [f"{level}.{part}" for level in LEVELS for part in PARTS]
    try:
        found = await es.cluster.get_settings(include_defaults=True, filter_path=parts)
    except ApiError:
        # Not everybody may read them.
        return []
    settings = _merge(found.body)
    return [f"the setting {name} is {value}" for name, value in PREVENTING.items() if settings.get(name) == value]


async def changed_settings(es: AsyncElasticsearch) -> str:
    """Return the cluster's settings that are not the defaults, with words before them; empty if there are none."""
    try:
        changed = _merge((await es.cluster.get_settings()).body)
    except (ApiError, TransportError):
        return ""
    listed = ", ".join(f"{name} is {value}" for name, value in sorted(changed.items()))
    return f" (settings of the cluster: {listed[:MAX_CHARACTERS]})" if changed else ""


def _merge(found: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for level in LEVELS:
        merged |= flatten(found.get(level, {}))
    return merged


async def why_unassigned(es: AsyncElasticsearch, name: str) -> str:
    """Return why no node has the first shard of the index."""
    try:
        explained = await es.cluster.allocation_explain(index=name, shard=0, primary=True)
    except (ApiError, TransportError):
        return "no node has taken it in time"
    reasons = "; ".join(dict.fromkeys(_decisions(explained.body)))
    return f"no node takes it: {reasons or explained.get('allocate_explanation')}"[:MAX_CHARACTERS]


def _decisions(explained: Mapping[str, Any]) -> Iterator[str]:
    for node in explained.get("node_allocation_decisions", ()):
        for decider in node.get("deciders", ()):
            yield decider["explanation"]
