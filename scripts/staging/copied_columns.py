"""The columns that are copied unchanged, by table. Whatever is not listed is replaced.

A column that is new is therefore replaced until somebody has decided about it, and a table that is not listed stays
empty: users, sessions, events, request logs, and what is counted from them.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Table

from schemas.api.preferences import Preferences
from schemas.enums import Continent, Status
from schemas.tables import Base

_STAMPS = frozenset({"created_at", "updated_at"})
_VOCABULARY = _STAMPS | {"id", "name", "name_he"}
"""Of tables whose names are the platform's own terms."""

COPIED: Mapping[str, frozenset[str]] = {
    "countries": _VOCABULARY | {"continent"},
    "tags": _VOCABULARY,
    "trip_types": _VOCABULARY,
    "companies": _STAMPS | {"id", "is_active"},
    "guides": _STAMPS | {"id", "gender", "is_active"},
    "trip_templates": _STAMPS
    | {"id", "company_id", "trip_type_id", "primary_country_id", "is_active", "base_price", "single_supplement_price"}
    | {"typical_duration_days", "default_max_capacity", "difficulty_level"},
    "trip_template_tags": frozenset({"trip_template_id", "tag_id", "created_at"}),
    "trip_template_countries": frozenset(
        {"trip_template_id", "country_id", "visit_order", "days_in_country", "created_at"}
    ),
    "trip_occurrences": _STAMPS
    | {"id", "trip_template_id", "guide_id", "start_date", "end_date", "spots_left"}
    | {"price_override", "single_supplement_override", "max_capacity_override"},
    "price_history": frozenset({"id", "trip_template_id", "old_price", "new_price", "changed_at"}),
    "reviews": _STAMPS
    | {"id", "trip_template_id", "trip_occurrence_id", "rating"}
    | {"is_anonymous", "is_verified", "is_approved", "is_featured"},
    "evaluation_scenarios": _STAMPS
    | {"id", "is_active", "priority", "expected_min_results", "expected_min_top_score", "expected_trip_types"}
    | {"expected_countries", "baseline_result_ids", "baseline_scores", "baseline_captured_at"},
}

KNOWN_VALUES: Mapping[tuple[str, str], Sequence[str]] = {
    ("trip_occurrences", "status"): tuple(Status),
    ("reviews", "source"): ("Website", "App", "Email", "Imported"),
}
"""Columns of which these values are copied, and other texts are replaced."""

SEARCHES = frozenset({("evaluation_scenarios", "preferences")})
"""Columns with the JSON of a search, of which these keys are copied where their values are numbers or continents."""
SEARCH_KEYS = tuple(Preferences.model_fields)
SEARCH_WORDS = tuple(Continent)

TABLES: Sequence[Table] = [table for table in Base.metadata.sorted_tables if table.fullname in COPIED]
"""The tables that are copied; those that others refer to come first."""
