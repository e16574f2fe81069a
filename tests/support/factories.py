"""Insert rows for tests: each method inserts one with default values, any of which may be given, and returns its id."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.enums import Continent, Gender, Status
from schemas.tables import (
    Base,
    Company,
    Country,
    Guide,
    Tag,
    TripOccurrence,
    TripTemplate,
    TripTemplateCountry,
    TripTemplateTag,
    TripType,
)

WRITTEN = datetime.fromisoformat("2026-11-01T09:30:00")
STAMPS = {"created_at": WRITTEN, "updated_at": WRITTEN}
START = date(2027, 1, 10)


class CatalogueFactory:
    def __init__(self, engine: AsyncEngine, first: int = 1) -> None:
        """`first` is the first number in the names of rows, which have to be unique."""
        self._engine = engine
        self._number = count(first)

    async def country(self, **values: Any) -> int:
        name = f"Country {next(self._number)}"
        return await self._insert(Country, {"name": name, "name_he": name, "continent": Continent.EUROPE}, values)

    async def company(self, **values: Any) -> int:
        name = f"Company {next(self._number)}"
        return await self._insert(Company, {"name": name, "name_he": name}, values)

    async def guide(self, **values: Any) -> int:
        number = next(self._number)
        defaults = {"name": f"Guide {number}", "email": f"guide{number}@example.com"}
        return await self._insert(Guide, {**defaults, "gender": Gender.FEMALE, "is_active": True}, values)

    async def trip_type(self, **values: Any) -> int:
        name = f"Type {next(self._number)}"
        return await self._insert(TripType, {"name": name, "name_he": name}, values)

    async def tag(self, **values: Any) -> int:
        name = f"Tag {next(self._number)}"
        return await self._insert(Tag, {"name": name, "name_he": name}, values)

    async def template(self, *, tags: Sequence[int] = (), countries: Sequence[int] = (), **values: Any) -> int:
        """Insert a template, with a new company unless `company_id` is given; `countries` in the order of the visit."""
        title = f"Template {next(self._number)}"
        defaults = {
            "title": title,
            "title_he": title,
            "description": title,
            "description_he": title,
            "base_price": Decimal("1000.00"),
            "typical_duration_days": 10,
            "default_max_capacity": 20,
            "difficulty_level": 2,
        }
        if "company_id" not in values:
            values["company_id"] = await self.company()
        template_id = await self._insert(TripTemplate, defaults, values)
        await self.link(TripTemplateTag, template_id, [{"tag_id": tag} for tag in tags])
        visits = [{"country_id": country, "visit_order": order} for order, country in enumerate(countries, 1)]
        await self.link(TripTemplateCountry, template_id, visits)
        return template_id

    async def occurrence(self, **values: Any) -> int:
        """Insert a departure, of a new template unless `trip_template_id` is given, and of ten days by default."""
        if "trip_template_id" not in values:
            values["trip_template_id"] = await self.template()
        start: date = values.get("start_date", START)
        defaults = {"start_date": start, "end_date": start + timedelta(days=9), "spots_left": 8, "status": Status.OPEN}
        return await self._insert(TripOccurrence, defaults, values)

    async def link(self, table: type[Base], template_id: int, links: Sequence[dict[str, int]]) -> None:
        if links:
            async with self._engine.begin() as connection:
                await connection.execute(insert(table), [{"trip_template_id": template_id, **link} for link in links])

    async def _insert(self, table: type[Base], defaults: dict[str, Any], values: dict[str, Any]) -> int:
        row = {**STAMPS, **defaults, **values}
        async with self._engine.begin() as connection:
            inserted: int = await connection.scalar(insert(table).values(row).returning(table.__table__.c.id))
        return inserted
