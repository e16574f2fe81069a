"""Responses of the reference data endpoints that are more than an entity in an envelope."""

from typing import Literal

from schemas.api.entities import Company, ContinentLabel, Country, Entity


class ContinentName(Entity):
    value: ContinentLabel
    """Name of the continent in English."""
    name_he: str
    """Name of the continent in Hebrew."""


class Locations(Entity):
    success: Literal[True] = True
    """True; responses with an error have false."""
    count: int
    """Number of countries."""
    countries: list[Country]
    """All countries, by Hebrew name."""
    continents: list[ContinentName]
    """Continents that have countries."""


class CompanyDetails(Company):
    template_count: int
    """Number of active templates."""
