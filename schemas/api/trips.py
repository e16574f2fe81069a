"""Responses of the trip endpoints that are more than an entity in an envelope."""

from typing import Literal

from pydantic import BaseModel

from schemas.api.entities import Guide, OccurrenceFields, Template

SCHEMA_VERSION = "2.3"
"""Version of the platform's database schema."""


class OccurrenceOnly(OccurrenceFields):
    """A departure without its template."""

    guide: Guide | None


class TemplateWithOccurrences(Template):
    upcoming_occurrences: list[OccurrenceOnly]


class Statistics(BaseModel):
    companies: int
    templates: int
    """Active templates."""
    occurrences: int
    """Departures that are not cancelled."""
    active_occurrences: int
    """Departures that are not cancelled and start today or later."""


class SchemaInfo(BaseModel):
    success: Literal[True] = True
    schema_version: str = SCHEMA_VERSION
    statistics: Statistics
    endpoints: dict[str, str]
    """Paths by purpose."""
