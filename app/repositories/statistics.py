"""Row counts."""

from datetime import date
from typing import Any

from sqlalchemy import ScalarSelect, func, select

from app.backends.database import ReadSession
from app.repositories.predicates import to_sql
from schemas.api.health import TableCounts
from schemas.api.trips import Statistics
from schemas.tables import Base, Company, Country, Guide, Tag, TripOccurrence, TripTemplate, TripType
from scoring.availability import ACTIVE, NOT_CANCELLED, upcoming
from scoring.predicates import And


async def count_trips(session: ReadSession, today: date) -> Statistics:
    counts = {
        "companies": _count(Company),
        "templates": _count(TripTemplate, to_sql(ACTIVE)),
        "occurrences": _count(TripOccurrence, to_sql(NOT_CANCELLED)),
        "active_occurrences": _count(TripOccurrence, to_sql(And((NOT_CANCELLED, upcoming(today))))),
    }
    return Statistics.model_validate(await _fetch_counts(session, counts))


async def count_tables(session: ReadSession) -> TableCounts:
    tables: tuple[type[Base], ...] = (TripOccurrence, TripTemplate, Country, Guide, Tag, TripType)
    return TableCounts.model_validate(
        await _fetch_counts(session, {table.__tablename__: _count(table) for table in tables})
    )


def _count(table: type[Base], *conditions: Any) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(*conditions).scalar_subquery()


async def _fetch_counts(session: ReadSession, counts: dict[str, ScalarSelect[int]]) -> dict[str, int]:
    """Return all counts with one statement."""
    row = (await session.execute(select(*(count.label(name) for name, count in counts.items())))).one()
    return dict(row._mapping)
