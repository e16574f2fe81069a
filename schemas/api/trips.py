"""Answers of the trips' endpoints that are more than an entity in an envelope."""

from typing import Literal

from pydantic import BaseModel

from schemas.api.entities import Guide, OccurrenceFields, Template

SCHEMA_VERSION = "2.3"
"""Of the platform's tables."""


class OccurrenceOnly(OccurrenceFields):
    """An occurrence without its template."""

    guide: Guide | None


class TemplateWithOccurrences(Template):
    upcoming_occurrences: list[OccurrenceOnly]


class Statistics(BaseModel):
    companies: int
    templates: int
    """Active ones."""
    occurrences: int
    """Not cancelled."""
    active_occurrences: int
    """Of those, the ones that start today or later."""


class SchemaInfo(BaseModel):
    success: Literal[True] = True
    schema_version: str = SCHEMA_VERSION
    statistics: Statistics
    endpoints: dict[str, str]
    """Paths by what they are for."""
