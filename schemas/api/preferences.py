"""Preferences of a traveller: parsed leniently, normalized exactly."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, WithJsonSchema

from schemas.enums import Continent
from schemas.lenient import (
    MAX_DECIMALS,
    MAX_LIST,
    allow_all,
    continent,
    iso_date,
    optional,
    parse_amount,
    parse_days,
    parse_id,
    sorted_set,
    whole_from,
    zero_as_none,
)

MIN_DURATION = 1
MAX_DURATION = 365


def _input(description: str, *forms: dict[str, Any]) -> WithJsonSchema:
    """Return the JSON Schema of a field's accepted values; every field may also be null."""
    return WithJsonSchema({"anyOf": [*forms, {"type": "null"}], "description": description})


def _list(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "maxItems": MAX_LIST, "items": {"anyOf": list(items)} if len(items) > 1 else items[0]}


def _number(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


def _text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^({pattern})$"}


_ID = ({"type": "integer"}, _text("[0-9]+"))
_DAYS = ({"type": "integer", "minimum": 0}, _text("[0-9]*"))
_MONEY = ({"type": "number", "minimum": 0}, _text(rf"([0-9]+(\.[0-9]{{1,{MAX_DECIMALS}}})?)?"))
_EMPTY = _text("")
_DATE = ({"type": "string", "format": "date"}, _EMPTY)
_CONTINENTS = [name for member in Continent for name in (member.value, member.name)] + ["North America"]

Countries = Annotated[tuple[int, ...], sorted_set(parse_id), _input("Country ids; empty is any country.", _list(*_ID))]
Continents = Annotated[
    tuple[Continent, ...],
    sorted_set(continent),
    _input("Names of continents, in any case; with countries, either will do.", _list({"enum": _CONTINENTS})),
]
Themes = Annotated[tuple[int, ...], sorted_set(parse_id), _input("Tag ids; two that a trip has are best.", _list(*_ID))]
TripTypeId = Annotated[int | None, zero_as_none(parse_id, None), _input("Trip type id; 0 is any type.", *_ID, _EMPTY)]
MinDays = Annotated[
    int, zero_as_none(parse_days, MIN_DURATION), _input("Shortest duration in days; 0 is the default, 1.", *_DAYS)
]
MaxDays = Annotated[
    int, zero_as_none(parse_days, MAX_DURATION), _input("Longest duration in days; 0 is the default, 365.", *_DAYS)
]
Budget = Annotated[
    Decimal | None,
    zero_as_none(parse_amount, None),
    _input("Highest price per person, in the platform's currency; 0 is none.", *_MONEY),
]
Difficulty = Annotated[
    int | None,
    optional(whole_from(0, 5)),
    _input("From 1, easy, to 5, hard.", _number(0, 5), _text("[0-5]?")),
]
Year = Annotated[
    int | None,
    allow_all(whole_from(1, 9999)),
    _input('Year of departure, or "all".', _number(1, 9999), _text("all|[1-9][0-9]{0,3}|")),
]
Month = Annotated[
    int | None,
    allow_all(whole_from(1, 12)),
    _input('Month of departure, or "all".', _number(1, 12), _text("all|[1-9]|1[0-2]|")),
]
StartDate = Annotated[
    date | None,
    optional(iso_date),
    _input("Legacy: counts when later than today and no year is given.", *_DATE),
]


EXAMPLE: dict[str, Any] = {
    "selected_continents": ["Asia", "Europe"],
    "preferred_theme_ids": [1, 2],
    "min_duration": 5,
    "max_duration": 30,
    "budget": 15000,
    "difficulty": 2,
    "year": "all",
    "month": "all",
}


# After parsing, lists are sorted and have no duplicates, defaults are filled in, 0 and "all" are None.
class Preferences(BaseModel):
    """Preferences of a traveller. Every field is optional, and numbers may be text."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    selected_countries: Countries = ()
    selected_continents: Continents = ()
    preferred_type_id: TripTypeId = None
    preferred_theme_ids: Themes = ()
    min_duration: MinDays = MIN_DURATION
    max_duration: MaxDays = MAX_DURATION
    budget: Budget = None
    difficulty: Difficulty = None
    year: Year = None
    month: Month = None
    start_date: StartDate = None

    @property
    def earliest_start(self) -> date | None:
        return self.start_date if self.year is None else None

    @property
    def has_places(self) -> bool:
        return bool(self.selected_countries or self.selected_continents)

    @property
    def search_type(self) -> Literal["focused_search", "exploration"]:
        filters = (
            self.selected_countries,
            self.selected_continents,
            self.preferred_type_id is not None,
            self.preferred_theme_ids,
            self.budget is not None,
            self.difficulty is not None,
            (self.min_duration, self.max_duration) != (MIN_DURATION, MAX_DURATION),
            self.year is not None,
            self.month is not None,
        )
        return "focused_search" if sum(map(bool, filters)) >= 2 else "exploration"

    def canonical(self) -> str:
        """Return a text that is equal for all preferences with the same meaning."""
        effective = self if self.start_date == self.earliest_start else self.model_copy(update={"start_date": None})
        return effective.model_dump_json()
