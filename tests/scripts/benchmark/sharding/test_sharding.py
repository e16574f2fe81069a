from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from schemas.api.preferences import Preferences
from schemas.index_document import TripDocument, decode_document
from scoring.context import SearchContext
from scoring.filters import candidate_filter
from scripts import sample_data
from scripts.benchmark.load.workload import searches
from scripts.benchmark.measurements import sharding
from scripts.benchmark.measurements.sharding import measure_layouts, table
from scripts.benchmark.sharding.documents import ids, lookups, make_documents, write_documents
from scripts.benchmark.sharding.layouts import LAYOUTS, Layout, Part
from tests.conftest import TODAY

DEPARTURES = 600
SEED = 3


@pytest.fixture(scope="module")
def contexts() -> list[SearchContext]:
    """The day's searches, and one for private groups in each year, which have no dates."""
    bodies = searches(ids(TODAY), 400, SEED)
    bodies += [{"preferred_type_id": lookups().private_type_id, "year": str(2026 + more)} for more in range(3)]
    return [SearchContext(Preferences.model_validate(body), TODAY, lookups()) for body in bodies]


@pytest.fixture(scope="module")
def documents() -> list[tuple[Part, TripDocument]]:
    made = make_documents(DEPARTURES, SEED, TODAY)
    return [(part, decode_document(document)) for part, _, document in made]


async def test_documents_are_those_of_a_reindex(database: AsyncEngine, settings: Settings) -> None:
    await sample_data.seed(settings.database_url, DEPARTURES, SEED, today=TODAY)
    async with snapshot(database) as connection:
        built = (await build_documents(connection, range(1, DEPARTURES + 1))).documents
    assert {number: document for _, number, document in make_documents(DEPARTURES, SEED, TODAY)} == built


def test_ids_of_a_later_block_follow(documents: list[tuple[Part, TripDocument]]) -> None:
    later = [number for _, number, _ in make_documents(5, SEED, TODAY, first=1000)]
    assert later == [1001, 1002, 1003, 1004, 1005]
    assert [document.id for _, document in documents] == list(range(1, DEPARTURES + 1))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_index_that_a_search_leaves_out_has_none_of_its_candidates(
    layout: Layout, contexts: list[SearchContext], documents: list[tuple[Part, TripDocument]]
) -> None:
    parts = frozenset(part for part, _ in documents)
    continents = {str(country): name for country, name in lookups().continents.items()}
    by_index = defaultdict(list)
    for part, document in documents:
        by_index[layout.key(part)].append(document)
    asked = 0
    for context in [*contexts, *(context.relaxed((1, 2)) for context in contexts)]:
        condition = candidate_filter(context)
        targets = layout.targets(condition, parts, continents)
        asked += len(targets)
        for name in by_index.keys() - set(targets):
            assert not any(condition.matches_all(by_index[name])), (name, context.preferences)
    searched = asked / (2 * len(contexts) * len(by_index))
    assert searched < 0.85 if len(by_index) > 1 else searched == 1


async def test_layouts_give_equal_lists(
    services: Settings, contexts: list[SearchContext], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "WARM_UP_SEARCHES", 1)
    files = write_documents(tmp_path, DEPARTURES, SEED, TODAY)
    steps: list[str] = []
    measured = await measure_layouts(services.elasticsearch_url, files, contexts[::8], lambda: 0.0, steps.append)
    assert [row.differing for row in measured] == [0] * len(LAYOUTS)
    assert [row.indexes for row in measured] == [1, 1, 4, 8]
    assert table(measured).row_count == len(steps) / 2 == len(LAYOUTS)
