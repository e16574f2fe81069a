from time import time

from indexer import metrics
from indexer.backends import Backends
from indexer.observability.index_metrics import collect_index, disk_used_ratio


def names() -> list[str]:
    (family,) = metrics.INDEX.collect()
    return [sample.labels["name"] for sample in family.samples if sample.value == 1]


async def test_index_in_use_is_named_with_its_age(backends: Backends, index: str) -> None:
    await collect_index(backends)
    assert names() == [index]
    assert 0 < metrics.INDEX_CREATED._value.get() <= time() + 60
    assert 0 < metrics.DISK._value.get() < 1


async def test_without_an_index_its_name_is_empty(backends: Backends, no_index: None) -> None:
    await collect_index(backends)
    assert names() == [""]
    assert metrics.INDEX_CREATED._value.get() == 0


def test_fullest_disk_counts() -> None:
    def node(available: int) -> dict[str, object]:
        return {"fs": {"total": {"total_in_bytes": 100, "available_in_bytes": available}}}

    assert disk_used_ratio({"nodes": {"a": node(60), "b": node(10)}}) == 0.9
    assert disk_used_ratio({}) == 0.0
