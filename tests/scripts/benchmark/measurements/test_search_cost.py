import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.recommendations.trip_search.interface import SearchHits
from core.configuration.settings import Settings
from schemas.api.preferences import Preferences
from scoring.context import SearchContext
from scoring.predicates import Condition
from scoring.rules import RuleGroup
from scripts.benchmark.load.workload import searches
from scripts.benchmark.measurements import search_cost
from scripts.benchmark.measurements.search_cost import ReferenceSearch, SearchCost, compare, table
from scripts.benchmark.processes import thread_cpu_seconds
from scripts.benchmark.sharding.documents import BlockFile, ids, lookups, write_documents
from tests.conftest import TODAY

DEPARTURES = 600
SEED = 3


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[BlockFile]:
    monkeypatch.setattr(search_cost, "WARM_UP_SEARCHES", 1)
    return write_documents(tmp_path, DEPARTURES, SEED, TODAY)


def contexts(number: int) -> list[SearchContext]:
    bodies = searches(ids(TODAY), number, SEED)
    return [SearchContext(Preferences.model_validate(body), TODAY, lookups()) for body in bodies]


async def compared(services: Settings, files: list[BlockFile]) -> SearchCost:
    """Compare with a clock that goes on by one second each time."""
    seconds = iter(range(100))
    return await compare(services.elasticsearch_url, files, contexts(30), 3, lambda: next(seconds))


async def test_lists_of_both_sides_are_equal(services: Settings, files: list[BlockFile]) -> None:
    cost = await compared(services, files)
    assert (cost.departures, cost.differing, cost.ratios) == (DEPARTURES, 0, [1.0] * 3)
    assert cost.reference_ms == cost.service_ms == pytest.approx(1000 / 30)
    assert 1 < cost.reference_requests <= 2
    assert cost.reference_requests <= cost.requests < 2 * cost.reference_requests
    assert table([cost]).row_count == 1


async def test_differing_lists_are_counted(
    services: Settings, files: list[BlockFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = ReferenceSearch.find

    async def find_three(
        trips: ReferenceSearch, condition: Condition, rules: Sequence[RuleGroup], _size: int
    ) -> SearchHits:
        return await find(trips, condition, rules, 3)

    monkeypatch.setattr(ReferenceSearch, "find", find_three)
    assert (await compared(services, files)).differing > 10


def test_cpu_time_of_threads_with_other_names_is_left_out() -> None:
    started = time.thread_time()
    while time.thread_time() < started + 0.05:
        pass
    name = Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip()
    assert thread_cpu_seconds(os.getpid(), ("no such name",)) >= 0.05
    assert thread_cpu_seconds(os.getpid(), (name,)) < thread_cpu_seconds(os.getpid(), ("no such name",)) - 0.04
