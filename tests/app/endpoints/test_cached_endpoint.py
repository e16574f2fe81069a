from datetime import date
from inspect import signature
from itertools import product

import pytest

from app.endpoints.cached_endpoint import cache_key, trip_policy
from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from schemas.api.queries import PageQuery, TemplatesQuery

CACHED = [endpoint for endpoint in ENDPOINTS if endpoint.cache]
EACH_CACHED = pytest.mark.parametrize("endpoint", CACHED, ids=lambda endpoint: endpoint.path)

TODAY = date(2026, 3, 1)


@EACH_CACHED
def test_cached_endpoint_only_reads(endpoint: Endpoint) -> None:
    assert (endpoint.method, endpoint.body, endpoint.status, endpoint.fast_path) == ("GET", None, 200, True)


@EACH_CACHED
def test_policy_names_the_date_if_the_reader_takes_it(endpoint: Endpoint) -> None:
    assert endpoint.cache is not None
    assert ("today" in signature(endpoint.handler).parameters) == endpoint.cache.depends_on_date


@EACH_CACHED
def test_optional_kinds_are_boolean_parameters(endpoint: Endpoint) -> None:
    assert endpoint.cache is not None
    for name in endpoint.cache.optional_kinds:
        assert endpoint.query is not None
        assert endpoint.query.model_fields[name].annotation is bool


def test_keys_differ_by_endpoint_parameters_query_and_date() -> None:
    paths = [endpoint.path.replace(":int", "") for endpoint in CACHED]
    queries = (None, PageQuery(), PageQuery(limit=1), PageQuery(offset=1))
    dates = (None, TODAY, date(2026, 3, 2))
    keys = [
        cache_key(path, {"id": number}, query, day)
        for path, number, query, day in product(paths, (1, 11), queries, dates)
    ]
    without_id = sum("{" not in path for path in paths)
    assert len(set(keys)) == len(keys) - without_id * len(queries) * len(dates)


def test_optional_kinds_count_only_when_requested() -> None:
    policy = trip_policy("template", optional_kinds={"include_occurrences": frozenset({"occurrence"})})
    assert policy.kinds(TemplatesQuery()) == {"template"}
    assert policy.kinds(TemplatesQuery(include_occurrences=True)) == {"template", "occurrence"}
