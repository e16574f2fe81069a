"""A visit to the site: what the web client of one visitor requests, and when.

The order of the requests and the pauses between a page and its events are the web client's; how many searches and trip
pages a visit has, and how long they are looked at, is assumed.
"""

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

MEAN_SEARCHES = 2
MEAN_TRIPS = 1.0
"""Trip pages opened from a list of results."""
MEAN_SECONDS = {"search form": 8, "results": 15, "trip": 25}
"""That a visitor looks at a page."""
FLUSH_SECONDS = 5
"""After which the web client sends events that wait, if there are fewer than a batch."""
BATCH = 10
"""Events that the web client sends at once."""
SEEN = 18
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
    yield _events(FLUSH_SECONDS, visitor, ("page_view", None))
    for _ in range(_count(rng, MEAN_SEARCHES)):
        yield _events(_pause(rng, "search form"), visitor, ("search_submit", None))
        trips = yield Step(0, Kind.SEARCH, "/api/v2/recommendations", choose_search())
        yield from _look_at_results(rng, visitor, trips)


def _look_at_results(rng: random.Random, visitor: Mapping[str, str], trips: Sequence[int]) -> Visit:
    seen = trips[:SEEN]
    views = [("page_view", None), ("results_view", None), *(("impression", trip) for trip in seen)]
    for start in range(0, len(views), BATCH):
        yield _events(FLUSH_SECONDS, visitor, *views[start : start + BATCH])
    opened = _count(rng, MEAN_TRIPS + 1) - 1
    for trip in rng.sample(seen, min(opened, len(seen))):
        yield _events(_pause(rng, "results"), visitor, ("click_trip", trip))
        yield Step(0, Kind.TRIP, f"/api/v2/occurrences/{trip}")
        yield _events(FLUSH_SECONDS, visitor, ("page_view", trip), ("trip_view", trip))
        yield _events(_pause(rng, "trip"), visitor, ("scroll_depth", trip), ("trip_dwell_time", trip))


def _events(after: float, visitor: Mapping[str, str], *events: tuple[str, int | None]) -> Step:
    """Return a batch of events, each of a type and a trip."""
    common = {**visitor, "source": "search_results"}
    batch = [{**common, "event_type": name, "trip_id": trip} for name, trip in events]
    return Step(after, Kind.EVENTS, "/api/events/batch", {"events": batch})


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
