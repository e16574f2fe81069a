from pathlib import Path

import orjson

from scoring.filters import candidate_filter
from scoring.rules import applicable_rules
from scripts.benchmark.baselines.raw_reference import reference_search
from tests.scoring.builders import search

RECORDED = Path(__file__).parent / "raw_reference.json"


def test_bodies_are_those_that_earlier_results_were_measured_with() -> None:
    searched = search(
        selected_countries=[18, 33],
        selected_continents=["Antarctica"],
        preferred_theme_ids=[1, 2, 3],
        preferred_type_id=3,
        budget=1000,
        difficulty=3,
        year=2027,
        month=4,
        min_duration=5,
        max_duration=10,
    )
    bodies = [
        reference_search(candidate_filter(each), applicable_rules(each), size)
        for each, size in ((searched, 30), (searched.relaxed((7, 9)), 28))
    ]
    assert bodies == orjson.loads(RECORDED.read_bytes())
