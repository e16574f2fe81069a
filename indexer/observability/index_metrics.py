"""Collect what the worker sees of Elasticsearch: the index in use, and how full the disks are."""

from typing import Any

from core.metrics.labels import with_values
from indexer import metrics
from indexer.backends import Backends
from indexer.index import admin

PERIOD_SECONDS = 15.0

with_values(metrics.INDEX, [""])


async def collect_index(backends: Backends) -> None:
    """Record the live index, and the fullest disk of the cluster as far as the user may see it."""
    es = backends.elasticsearch
    name = await admin.live_index(es, backends.alias)
    # Of the indexes that were in use before, none stays.
    metrics.INDEX.clear()
    metrics.INDEX.labels(name or "").set(1)
    metrics.INDEX_CREATED.set(await _created_at(backends, name) if name else 0)
    metrics.DISK.set(disk_used_ratio(dict(await es.nodes.stats(metric="fs", filter_path="nodes.*.fs.total"))))


async def _created_at(backends: Backends, name: str) -> float:
    settings = await backends.elasticsearch.indices.get_settings(
        index=name, name="index.creation_date", flat_settings=True
    )
    return int(settings[name]["settings"]["index.creation_date"]) / 1000


def disk_used_ratio(stats: dict[str, Any]) -> float:
    """Return which part of the fullest disk is taken: it is the one whose watermark is reached first."""
    disks = [node.get("fs", {}).get("total", {}) for node in stats.get("nodes", {}).values()]
    sizes = [(disk.get("available_in_bytes", 0), disk.get("total_in_bytes", 0)) for disk in disks]
    return max((1 - available / total for available, total in sizes if total), default=0.0)
