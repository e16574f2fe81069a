from collections.abc import Mapping
from datetime import date
from typing import Any

from msgspec import Raw

from schemas.api.preferences import Preferences
from schemas.index_document import TripDocument
from scoring.context import SearchContext, SearchLookups

TODAY = date(2026, 11, 24)
PRIVATE = 10
KENYA, FRANCE, ANTARCTICA = 18, 33, 95
PLAIN_DAYS = 371
"""By default neither ideal nor good, and not dropped either."""
PLAIN_DAYS_RELAXED = 376
CONTINENTS: Mapping[int, str] = {KENYA: "Africa", FRANCE: "Europe", ANTARCTICA: "Antarctica"}


def departure(**values: Any) -> TripDocument:
    """One that is a candidate of a search without preferences, for the base score and nothing else."""
    start: str = values.get("start", "2027-04-15")
    plain = {
        "id": 1,
        "active": True,
        "country": str(KENYA),
        "continent": "Africa",
        "antarctica": False,
        "type": "3",
        "themes": [],
        "level": 3,
        "start": start,
        "month": int(start[5:7]),
        "days": PLAIN_DAYS,
        "price": 1_000_00,
        "spots": 4,
        "status": "Open",
        "version": 1,
        "trip": Raw(b"{}"),
    }
    return TripDocument(**{**plain, **values})


def search(**preferences: Any) -> SearchContext:
    return SearchContext(Preferences.model_validate(preferences), TODAY, SearchLookups(PRIVATE, CONTINENTS))


def relaxed(**preferences: Any) -> SearchContext:
    return search(**preferences).relaxed(())
