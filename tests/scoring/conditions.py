"""Random conditions, simple and nested, that hold for some of the random departures."""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from scoring.predicates import ALWAYS, And, AtLeastN, Condition, Equals, In, Not, Or, Range

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "country": st.integers(1, 15).map(str),
    "type": st.sampled_from(("1", "2", "10", "99")),
    "themes": st.integers(1, 6).map(str),
    "level": st.integers(0, 6),
    "price": st.integers(0, 10**10),
    "start": st.integers(-40, 800).map(lambda days: (date(2026, 11, 24) + timedelta(days)).isoformat()),
}
RANGES = ("level", "price", "start")


def of_a_field(name: str) -> st.SearchStrategy[Condition]:
    value, values = FIELDS[name], st.lists(FIELDS[name], max_size=4, unique=True).map(tuple)
    conditions: list[st.SearchStrategy[Condition]] = [
        st.builds(Equals, st.just(name), value),
        st.builds(In, st.just(name), values),
        st.builds(AtLeastN, st.integers(1, 3), st.just(name), values),
    ]
    if name in RANGES:
        conditions.append(st.builds(Range, st.just(name), st.none() | value, st.none() | value))
    return st.one_of(conditions)


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.just(ALWAYS) | st.sampled_from(sorted(FIELDS)).flatmap(of_a_field),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
