"""Responses of the trip endpoints that are more than an entity in an envelope."""

from typing import Literal

from schemas.api.entities import Guide, OccurrenceFields, Template
from schemas.api.model import ApiModel

SCHEMA_VERSION = "2.3"
"""Version of the platform's database schema."""


class OccurrenceOnly(OccurrenceFields):
    """A departure without its template."""

    guide: Guide | None
    """Guide; null if there is none yet."""


class TemplateWithOccurrences(Template):
    upcoming_occurrences: list[OccurrenceOnly]
    """The next departures that can be booked."""


class Statistics(ApiModel):
    companies: int
    """Companies."""
    templates: int
    """Active templates."""
    occurrences: int
    """Departures that are not cancelled."""
    active_occurrences: int
    """Departures that are not cancelled and start today or later."""


class SchemaInfo(ApiModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    schema_version: str = SCHEMA_VERSION
    """Version of the platform's tables."""
    statistics: Statistics
    """Row counts."""
    endpoints: dict[str, str]
    """Paths by purpose."""
