"""Travellers with wishes, for the evaluation of recommendations."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from schemas.enums import PRIVATE_GROUPS, Continent
from scripts.sample_data.rows import Row
from scripts.sample_data.trip_types import KINDS, TAG_IDS, TYPE_IDS


def scenarios(today: date) -> Iterator[Row]:
    """Categories, as the platform has them: core_persona, type_specific, regional, edge_case."""
    for number, (category, name, minimum, top, wishes) in enumerate(_wishes(today.year + 1), 1):
        yield {
            "id": number,
            "name": name,
            "category": category,
            "preferences": wishes,
            "expected_min_results": minimum,
            "expected_min_top_score": Decimal(top),
            "is_active": True,
            "priority": 5,
        }


def _wishes(next_year: int) -> Iterator[tuple[str, str, int, int, dict[str, Any]]]:
    yield "core_persona", "Student with a small budget", 3, 50, {"budget": 2500, "difficulty": 3, "min_duration": 7}
    yield "core_persona", "Couple with time and means", 3, 60, {"budget": 15000, "min_duration": 12, "max_duration": 20}
    yield "core_persona", "Family in the summer", 3, 50, {"difficulty": 1, "year": next_year, "month": 7}
    yield "core_persona", "Friends who love to eat", 3, 60, _themed("food", "culture")
    for kind in KINDS:
        minimum = 1 if kind.name == PRIVATE_GROUPS else 2
        yield "type_specific", f"Wants {kind.name}", minimum, 45, {"preferred_type_id": TYPE_IDS[kind.name]}
    for continent in Continent:
        yield "regional", f"Wants {continent}", 1, 40, {"selected_continents": [continent.value]}
    yield "edge_case", "No wishes at all", 30, 50, {}
    yield "edge_case", "Budget below every trip", 0, 0, {"budget": 5, "selected_continents": ["Asia"]}
    yield "edge_case", "Tropical Antarctica", 0, 0, {"selected_continents": ["Antarctica"], **_themed("tropical")}


def _themed(*keys: str) -> dict[str, Any]:
    return {"preferred_theme_ids": [TAG_IDS[key] for key in keys]}
