"""Responses of the reference data endpoints that are more than an entity in an envelope."""

from typing import Literal

from schemas.api.entities import Company, ContinentLabel, Country, Entity


class ContinentName(Entity):
    value: ContinentLabel
    name_he: str


class Locations(Entity):
    success: Literal[True] = True
    count: int
    """Number of countries."""
    countries: list[Country]
    continents: list[ContinentName]
    """Continents that have countries."""


class CompanyDetails(Company):
    template_count: int
    """Number of active templates."""
