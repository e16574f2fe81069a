"""Queries of evaluation scenarios."""

from collections.abc import Sequence

from sqlalchemy import select

from app.backends.database import ReadSession
from app.repositories.valid_rows import fetch_scalars
from schemas.lenient import MAX_LIST
from schemas.tables import EvaluationScenario


async def find_scenarios(
    session: ReadSession, category: str | None = None, ids: Sequence[int] = ()
) -> Sequence[EvaluationScenario]:
    """Return the scenarios with the ids, or without ids the active ones; at most MAX_LIST."""
    chosen = EvaluationScenario.id.in_(ids) if ids else EvaluationScenario.is_active.is_not(False)
    found = select(EvaluationScenario).where(chosen).order_by(EvaluationScenario.id)
    if category is not None:
        found = found.where(EvaluationScenario.category == category)
    return await fetch_scalars(session, found, EvaluationScenario.id, limit=MAX_LIST)


async def find_unknown_ids(session: ReadSession, ids: Sequence[int]) -> list[int]:
    existing = await session.scalars(select(EvaluationScenario.id).where(EvaluationScenario.id.in_(ids)))
    return sorted(set(ids) - set(existing))
