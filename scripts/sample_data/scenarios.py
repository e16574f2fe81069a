"""Scenarios for the evaluation of recommendations: preferences and the expected results."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from schemas.enums import PRIVATE_GROUPS, Continent
from scripts.sample_data.rows import Row
from scripts.sample_data.trip_types import TAG_IDS, TRIP_TYPES, TYPE_IDS


def scenarios(today: date) -> Iterator[Row]:
    """Yield scenarios in the platform's categories: core_persona, type_specific, regional, edge_case."""
    for number, (category, name, minimum, top, preferences) in enumerate(_scenarios(today.year + 1), 1):
        yield {
            "id": number,
            "name": name,
            "category": category,
            "preferences": preferences,
            "expected_min_results": minimum,
            "expected_min_top_score": Decimal(top),
            "is_active": True,
            "priority": 5,
        }


def _scenarios(next_year: int) -> Iterator[tuple[str, str, int, int, dict[str, Any]]]:
    yield "core_persona", "Student with a small budget", 3, 50, {"budget": 2500, "difficulty": 3, "min_duration": 7}
    yield "core_persona", "Couple with time and means", 3, 60, {"budget": 15000, "min_duration": 12, "max_duration": 20}
    yield "core_persona", "Family in the summer", 3, 50, {"difficulty": 1, "year": next_year, "month": 7}
    yield "core_persona", "Friends who love to eat", 3, 60, _themed("food", "culture")
    for trip_type in TRIP_TYPES:
        minimum = 1 if trip_type.name == PRIVATE_GROUPS else 2
        yield "type_specific", f"Wants {trip_type.name}", minimum, 45, {"preferred_type_id": TYPE_IDS[trip_type.name]}
    for continent in Continent:
        yield "regional", f"Wants {continent}", 1, 40, {"selected_continents": [continent.value]}
    yield "edge_case", "No wishes at all", 30, 50, {}
    yield "edge_case", "Budget below every trip", 0, 0, {"budget": 5, "selected_continents": ["Asia"]}
    yield "edge_case", "Tropical Antarctica", 0, 0, {"selected_continents": ["Antarctica"], **_themed("tropical")}


def _themed(*keys: str) -> dict[str, Any]:
    return {"preferred_theme_ids": [TAG_IDS[key] for key in keys]}
