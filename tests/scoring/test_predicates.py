from itertools import compress

from elasticsearch import AsyncElasticsearch
from hypothesis import HealthCheck, given, settings

from scoring.predicates import AtLeastN, Condition, Equals, In, Not, Range
from tests.scoring.builders import departure
from tests.scoring.conditions import CONDITIONS
from tests.scoring.reference import World


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS)
async def test_python_and_elasticsearch_agree(
    es: AsyncElasticsearch, worlds: list[tuple[World, str]], condition: Condition
) -> None:
    world, index = worlds[0]
    answer = await es.search(index=index, query=condition.to_elasticsearch(), size=1000)
    found = {hit["_source"]["id"] for hit in answer["hits"]["hits"]}
    assert found == {trip.id for trip in compress(world.documents, condition.matches_all(world.documents))}


def test_null_field_matches_no_positive_condition() -> None:
    nowhere = departure(country=None)
    positive = (
        Equals("country", "1"),
        In("country", ("1",)),
        Range("country", None, None),
        AtLeastN(1, "country", ("1",)),
    )
    for condition in positive:
        assert condition.matches_all([nowhere]) == [False]
        assert Not(condition).matches_all([nowhere]) == [True]
