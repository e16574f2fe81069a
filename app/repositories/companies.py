"""Queries of companies."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from app.backends.database import ReadSession
from app.repositories.queries import equals_id
from app.repositories.valid_rows import fetch_mappings, fetch_scalars
from schemas.tables import Company, TripTemplate


async def list_active_companies(session: ReadSession) -> Sequence[Company]:
    active = select(Company).where(Company.is_active).order_by(Company.name, Company.id)
    return await fetch_scalars(session, active, Company.id)


async def get_company(session: ReadSession, company_id: int) -> Mapping[str, Any] | None:
    """Return the company's columns and `template_count`, the number of its active templates; None if it is missing."""
    templates = (
        select(func.count())
        .where(TripTemplate.company_id == Company.id, TripTemplate.is_active)
        .correlate(Company)
        .scalar_subquery()
    )
    chosen = select(*Company.__table__.c, templates.label("template_count")).where(equals_id(Company.id, company_id))
    rows = await fetch_mappings(session, chosen, Company.id)
    return dict(rows[0]) if rows else None


async def company_exists(session: ReadSession, company_id: int) -> bool:
    return await session.scalar(select(Company.id).where(equals_id(Company.id, company_id))) is not None
