import json
from typing import Any

from elasticsearch import AsyncElasticsearch

from scoring.context import SearchContext
from scoring.elasticsearch import build_search, score_offset
from scoring.filters import candidate_filter
from scoring.rules import applicable_rules
from tests.scoring.builders import relaxed, search
from tests.scoring.reference import World


def body(searched: SearchContext) -> dict[str, Any]:
    return build_search(candidate_filter(searched), applicable_rules(searched))


EVERYTHING: dict[str, Any] = {
    "selected_countries": list(range(500)),
    "selected_continents": ["Asia", "Antarctica"],
    "preferred_theme_ids": list(range(500)),
    "preferred_type_id": 3,
    "budget": 1000,
    "difficulty": 3,
    "year": 2027,
    "month": 4,
    "min_duration": 5,
    "max_duration": 10,
}


def test_penalties_become_positive_weights() -> None:
    searched = relaxed(preferred_theme_ids=[1], preferred_type_id=3)
    query = body(searched)["query"]["function_score"]
    assert all(function["weight"] > 0 for function in query["functions"])
    assert score_offset(applicable_rules(searched)) == 15 + 15 + 10
    assert query["max_boost"] == 100 + 15 + 15 + 10


def test_disqualification_outweighs_all_bonuses() -> None:
    found = applicable_rules(search(**EVERYTHING))
    points = {rule.name: rule.points for alternatives in found for rule in alternatives}
    assert sum(count for count in points.values() if count > 0) + points["wrong_duration"] < 0
    assert 100 + score_offset(found) < 2**24


def test_thirty_hits_are_requested_and_all_counted() -> None:
    assert (body(search())["size"], body(search())["track_total_hits"]) == (30, True)


def test_equal_preferences_make_equal_bytes() -> None:
    other = {**EVERYTHING, "selected_countries": [*reversed(range(500))], "budget": "1000.00", "year": "2027"}
    assert json.dumps(body(search(**EVERYTHING))) == json.dumps(body(search(**other)))


async def test_elasticsearch_accepts_longest_lists(es: AsyncElasticsearch, worlds: list[tuple[World, str]]) -> None:
    _, index = worlds[0]
    for searched in (search(**EVERYTHING), search(**EVERYTHING).relaxed(tuple(range(1, 31)))):
        assert (await es.search(index=index, **body(searched)))["timed_out"] is False
