"""Whatever is changed on the index is named: a closed index, blocks, settings."""

from typing import Any

import pytest

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index.admin import history_index
from indexer.index.conformance import BLOCKS, PIPELINES
from indexer.preflight.comparison import compare_index

CHANGES: dict[str, Any] = {
    **dict.fromkeys(sorted(BLOCKS.keys() - {"blocks.read_only", "blocks.metadata"}), True),
    **dict.fromkeys(PIPELINES, "missing"),
    "requests.cache.enable": False,
    "max_result_window": 10,
}
"""Settings that can be changed, and changed back, on an index in use."""


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("of_history", [False, True], ids=["index", "history"])
async def test_changed_setting_is_named(
    settings: Settings, backends: Backends, index: str, name: str, *, of_history: bool
) -> None:
    assert await compare_index(settings) == []
    target, before = history_index(index) if of_history else index, BLOCKS.get(name)
    await backends.elasticsearch.indices.put_settings(index=target, settings={f"index.{name}": CHANGES[name]})
    try:
        (found,) = await compare_index(settings)
    finally:
        await backends.elasticsearch.indices.put_settings(index=target, settings={f"index.{name}": before})
    assert found.startswith(f"In the index {target}, the setting index.{name} is {str(CHANGES[name]).lower()}; ")


async def test_closed_index_is_named_with_its_cure(settings: Settings, backends: Backends, index: str) -> None:
    await backends.elasticsearch.indices.close(index=index)
    try:
        assert await compare_index(settings) == [
            f"The index {index} is closed. The worker opens it; without one: POST /{index}/_open."
        ]
    finally:
        await backends.elasticsearch.indices.open(index=index)


async def test_missing_index_is_named(settings: Settings, no_index: None) -> None:
    assert await compare_index(settings) == ["There is no index yet; the worker builds it."]
