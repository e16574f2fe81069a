from collections.abc import Mapping
from datetime import date
from types import NoneType
from typing import Any, get_args, get_origin

from msgspec import Raw
from msgspec.structs import fields

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


def _empty_value(kind: Any) -> Any:
    return None if NoneType in get_args(kind) else (get_origin(kind) or kind)()


EMPTY: Mapping[str, Any] = {
    field.name: _empty_value(field.type) for field in fields(TripDocument) if field.name != "trip"
}


def departure(**values: Any) -> TripDocument:
    """Return a candidate of a search without preferences, to which only the base score applies.

    Fields that are not named here are null, empty or zero.
    """
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
    return TripDocument(**{**EMPTY, **plain, **values})


def search(**preferences: Any) -> SearchContext:
    return SearchContext(Preferences.model_validate(preferences), TODAY, SearchLookups(PRIVATE, CONTINENTS))


def relaxed(**preferences: Any) -> SearchContext:
    return search(**preferences).relaxed(())
