"""A visit to the site: what the web client of one visitor requests, and when.

The order of the requests and the pauses between a page and its events are the web client's; how many searches and trip
pages a visit has, and how long they are looked at, is assumed.
"""

import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

MEAN_SEARCHES = 3
MEAN_TRIPS = 1.0
"""Trip pages opened from a list of results."""
MEAN_SECONDS = {"search form": 10, "results": 20, "trip": 40}
"""That a visitor looks at a page."""
FLUSH_SECONDS = 5
"""After which the web client sends events that wait, if there are fewer than a batch."""
BATCH = 10
"""Events that the web client sends at once."""
SEEN = 20
"""Trips of a list that come into view."""
REFERENCE_DATA = ("/api/locations", "/api/trip-types", "/api/tags")


class Kind(StrEnum):
    REFERENCE_DATA = "reference data"
    SESSION = "session"
    EVENTS = "events"
    SEARCH = "search"
    TRIP = "trip"


@dataclass(frozen=True)
class Step:
    """A request of a visit."""

    after: float
    """Seconds after the response to the step before."""
    kind: Kind
    path: str
    body: Mapping[str, Any] | None = None
    """None for a GET."""


Visit = Generator[Step, Sequence[int], None]
"""Yields the steps; each is sent the ids of the trips in its response, best first."""


def visit(rng: random.Random, choose_search: Callable[[], Mapping[str, Any]]) -> Visit:
    """Open the search page, search a few times, and open trips of the results."""
    visitor = {"session_id": _uuid(rng), "anonymous_id": _uuid(rng)}
    for path in REFERENCE_DATA:
        yield Step(0, Kind.REFERENCE_DATA, path)
    yield Step(0, Kind.SESSION, "/api/session/start", {**visitor, "device_type": "desktop", "referrer": ""})
    yield _events(FLUSH_SECONDS, visitor, "page_view")
    for _ in range(_count(rng, MEAN_SEARCHES)):
        yield _events(_pause(rng, "search form"), visitor, "search_submit")
        trips = yield Step(0, Kind.SEARCH, "/api/v2/recommendations", choose_search())
        yield from _look_at_results(rng, visitor, trips)


def _look_at_results(rng: random.Random, visitor: Mapping[str, str], trips: Sequence[int]) -> Visit:
    yield _events(FLUSH_SECONDS, visitor, "page_view", "results_view")
    for batch in _batches(trips[:SEEN]):
        yield _events(FLUSH_SECONDS, visitor, *["impression"] * len(batch), trips=batch)
    opened = min(_count(rng, MEAN_TRIPS + 1) - 1, len(trips))
    for trip in rng.sample(trips[:SEEN], min(opened, SEEN)):
        yield _events(_pause(rng, "results"), visitor, "click_trip", trips=[trip])
        yield Step(0, Kind.TRIP, f"/api/v2/occurrences/{trip}")
        yield _events(FLUSH_SECONDS, visitor, "page_view", "trip_view", trips=[trip, trip])
        yield _events(_pause(rng, "trip"), visitor, "scroll_depth", "trip_dwell_time", trips=[trip, trip])


def _events(after: float, visitor: Mapping[str, str], *types: str, trips: Sequence[int] = ()) -> Step:
    events: list[dict[str, Any]] = [{**visitor, "event_type": name, "source": "search_results"} for name in types]
    for event, trip in zip(events, trips, strict=False):
        event["trip_id"] = trip
    return Step(after, Kind.EVENTS, "/api/events/batch", {"events": events})


def _batches(trips: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(trips), BATCH):
        yield trips[start : start + BATCH]


def _count(rng: random.Random, mean: float) -> int:
    """Return a number from 1, of a geometric distribution."""
    number = 1
    while rng.random() > 1 / mean:
        number += 1
    return number


def _pause(rng: random.Random, page: str) -> float:
    return rng.expovariate(1 / MEAN_SECONDS[page])


def _uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
