"""Answers of the reference data that are more than an entity in an envelope."""

from typing import Literal

from schemas.api.entities import Company, Country, Entity
from schemas.enums import Continent


class ContinentName(Entity):
    value: Continent
    name_he: str


class Locations(Entity):
    success: Literal[True] = True
    count: int
    """Of the countries."""
    countries: list[Country]
    continents: list[ContinentName]
    """Those that have countries."""


class CompanyDetails(Company):
    template_count: int
    """Of active templates."""
