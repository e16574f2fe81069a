"""Read rows so that one that cannot be loaded or shown costs only itself: it is left out, logged and counted.

Such values are dates beyond the year 9999, infinite times, prices that are no number, and JSON with numbers or a depth
that readers reject. Postgres stores them all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.engine import Result
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from core.bisection import process_with_bisection
from core.metric_labels import with_values
from schemas.api import entities
from schemas.api.admin import WriteTarget
from schemas.api.entities import Entity
from schemas.api.envelopes import PageRows
from schemas.api.evaluation import ScenarioSummary
from schemas.api.trips import OccurrenceOnly
from schemas.row_errors import ROW_ERRORS, describe_row_error
from schemas.tables import Base

log = structlog.get_logger()

Row = TypeVar("Row")
Item = TypeVar("Item", bound=BaseModel)

KINDS = {
    *(table.class_.__name__ for table in Base.registry.mappers),
    *(model.__name__ for model in vars(entities).values() if isinstance(model, type) and issubclass(model, Entity)),
    OccurrenceOnly.__name__,
    ScenarioSummary.__name__,
    WriteTarget.__name__,
}
"""What rows are called: their tables, and the models of what responses show of them."""

LEFT_OUT = with_values(
    Counter("smarttrip_rows_left_out_total", "Rows left out of responses: a value cannot be shown", ["kind"]),
    KINDS,
)

MAX_LOGGED = 20
"""Row ids in one log line."""


async def fetch_scalars(
    session: AsyncSession, statement: Select[Row], key: InstrumentedAttribute[Any], options: Sequence[ORMOption] = ()
) -> Sequence[Row]:
    """Return the objects that the statement selects, in its order. `key` is the column of their ids."""
    return await _fetch(session, statement, key, lambda result: result.scalars().all(), options)


async def fetch_mappings(
    session: AsyncSession, statement: Select[Any], key: InstrumentedAttribute[Any]
) -> Sequence[Mapping[Any, Any]]:
    """Return the rows that the statement selects, in its order. `key` is the column of their ids."""
    return await _fetch(session, statement, key, lambda result: result.mappings().all())


async def _fetch(
    session: AsyncSession,
    statement: Select[Any],
    key: InstrumentedAttribute[Any],
    load: Callable[[Result[Any]], Sequence[Row]],
    options: Sequence[ORMOption] = (),
) -> Sequence[Row]:
    try:
        return load(await session.execute(statement.options(*options)))
    except ROW_ERRORS:
        ids = (await session.scalars(statement.with_only_columns(key, maintain_column_froms=True))).all()
    left_out: dict[object, Exception] = {}

    async def fetch_part(part: Sequence[object]) -> Sequence[Row]:
        # What was half loaded must be loaded again.
        session.expunge_all()
        chosen = statement.where(key.in_(part)).limit(None).offset(None)
        return load(await session.execute(chosen.options(*options)))

    async def leave_out(row_id: object, error: Exception) -> Sequence[Row]:
        left_out[row_id] = error
        return ()

    parts = await process_with_bisection(ids, fetch_part, leave_out, errors=ROW_ERRORS)
    report_left_out(key.class_.__name__, left_out)
    return [row for part in parts for row in part]


def valid_items(model: type[Item], rows: Sequence[object]) -> list[Item]:
    """Return the rows as models, without those that the model rejects."""
    items: list[Item] = []
    left_out: dict[int, Exception] = {}
    for row in rows:
        try:
            items.append(model.model_validate(row))
        except ROW_ERRORS as error:
            left_out[_row_id(row)] = error
    report_left_out(model.__name__, left_out)
    return items


def valid_page(model: type[Item], page: PageRows[Any]) -> PageRows[Item]:
    """Return the page with its rows as models, without those that the model rejects; they count in the total."""
    return PageRows(valid_items(model, page.rows), page.total)


def _row_id(row: object) -> int:
    row_id: int = row["id"] if isinstance(row, Mapping) else getattr(row, "id", 0)
    return row_id


def report_left_out(kind: str, left_out: Mapping[Any, Exception]) -> None:
    """Log and count rows that a response leaves out, by id, with the errors that they cause."""
    if not left_out:
        return
    reason = describe_row_error(next(iter(left_out.values())))
    log.error("rows_left_out", kind=kind, count=len(left_out), ids=list(left_out)[:MAX_LOGGED], reason=reason)
    LEFT_OUT.labels(kind).inc(len(left_out))
