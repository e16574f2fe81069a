"""Hypothesis strategies for request bodies: valid, nearly valid, and arbitrary."""

import json
from typing import Any

from hypothesis import strategies as st

from schemas.api.tracking import TrackedEvent
from schemas.event_types import CATEGORIES, SOURCES
from tests.scoring.strategies import PREFERENCE_VALUES

Strategy = st.SearchStrategy[Any]

ODD_NUMBERS = (0, -0.0, -1, 1, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63, 2**64, 10**40, 0.1, 1e-320, 1e308, -1e308)
ODD_TEXTS = (
    *(
        "",
        " ",
        "0",
        "-0",
        "+5",
        "5.0",
        "05",
        "1e3",
        "1e999",
        "-1e-999",
        ".5",
        "5.",
        "NaN",
        "Infinity",
        "null",
        "all",
        "ALL",
    ),
    *(
        "true",
        "9" * 400,
        "0x10",
        "1_000",
        "٥",
        "５",
        "²",
        "\0",
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "\ufeff",
        "\u202e",
        "İ",
    ),
    *("2027-06-01", "2027-02-30", "0001-01-01", "9999-12-31", "2027-W01-1", "20270601", "2026-11-24T09:30:00Z"),
    *("2026-11-24T09:30:00.123456789+23:59", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "24:00"),
    *("Asia", "asia", "NORTH_AMERICA", "North & Central America", "page_view", "click_trip", "similar", "mobile"),
    *(
        "00000000-0000-0000-0000-000000000000",
        "{12345678-1234-5678-1234-567812345678}",
        "x" * 3000,
        "'; --",
        "a@b",
        "@",
    ),
)

leaves: Strategy = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.integers(-5, 20),
    st.integers(),
    st.floats(),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=30),
)
shallow: Strategy = st.one_of(
    leaves,
    st.lists(leaves, max_size=5),
    st.dictionaries(st.one_of(st.sampled_from(ODD_TEXTS), st.text()), leaves, max_size=3),
)
anything: Strategy = st.one_of(
    leaves, shallow, st.lists(shallow, max_size=4), st.dictionaries(st.text(max_size=8), shallow, max_size=3)
)


def bodies(likely: dict[str, Strategy]) -> st.SearchStrategy[bytes]:
    """Bodies whose fields are likely values, arbitrary values or absent; some are damaged or no JSON."""
    some = st.fixed_dictionaries({}, optional={name: st.one_of(values, anything) for name, values in likely.items()})
    good = st.fixed_dictionaries(likely)
    most = st.fixed_dictionaries(likely, optional={"more": anything}).flatmap(_with_one_of(anything))
    written = st.one_of(good, most, some, anything).map(json.dumps).map(str.encode)
    return st.one_of(written, written, written, written.flatmap(_damaged), st.binary(max_size=60))


def _with_one_of(values: Strategy) -> Any:
    def change(body: dict[str, Any]) -> Strategy:
        return st.tuples(st.sampled_from([*body]), values).map(lambda pair: {**body, pair[0]: pair[1]})

    return change


def _damaged(body: bytes) -> st.SearchStrategy[bytes]:
    """Truncate the body, or replace bytes in its middle."""
    middle = st.sampled_from(
        (b"", b"\0", b"\xff", b"\\", b'"', b",", b"{", b"[", b"]", b"}", b"9", b"e9", b"-", b"NaN")
    )
    places = st.tuples(st.integers(0, len(body)), st.integers(0, 3), middle)
    return places.map(lambda place: body[: place[0]] + place[2] + body[place[0] + place[1] :])


uuids = st.uuids().map(str)
LIKELY_EVENTS: dict[str, Strategy] = {
    "event_type": st.sampled_from([*CATEGORIES]),
    "session_id": uuids,
    "anonymous_id": uuids,
    "trip_id": st.integers(1, 500),
    "source": st.sampled_from(SOURCES),
    "recommendation_request_id": uuids,
    "metadata": st.dictionaries(st.text(max_size=10), shallow, max_size=4),
    "position": st.integers(0, 30),
    "score": st.floats(0, 100),
    "client_timestamp": st.datetimes().map(lambda moment: moment.isoformat()),
    "page_url": st.text(max_size=60),
    "referrer": st.text(max_size=60),
    "event_id": uuids,
}
assert LIKELY_EVENTS.keys() == TrackedEvent.model_fields.keys()

preferences = bodies(PREFERENCE_VALUES)
events = bodies(LIKELY_EVENTS)
batches = st.one_of(
    st.lists(st.one_of(st.fixed_dictionaries(LIKELY_EVENTS), anything), max_size=4)
    .map(lambda found: json.dumps({"events": found}))
    .map(str.encode),
    bodies({"events": st.lists(shallow, max_size=3)}),
)
