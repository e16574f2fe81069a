"""Read rows so that one that cannot be loaded or shown costs only itself: it is left out, logged and counted.

Such values are dates beyond the year 9999, infinite times, prices that are no number, and JSON with numbers or a depth
that readers reject. Postgres stores them all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from core.concurrency.bisection import process_with_bisection
from core.metrics.labels import with_values
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

SLICE = 50
"""Rows that are loaded or validated at a time: other requests are served in between."""

MAX_LOGGED = 20
"""Row ids in one log line."""


async def fetch_scalars(
    session: AsyncSession,
    statement: Select[Row],
    key: InstrumentedAttribute[Any],
    options: Sequence[ORMOption] = (),
    *,
    limit: int | None = None,
) -> Sequence[Row]:
    """Return the first `limit` objects, by default all, that the statement selects, in its order.

    `key` is the column of their ids.
    """

    async def load(part: Select[Row]) -> Sequence[Row]:
        return (await session.scalars(part.options(*options))).all()

    return await _fetch(session, statement, key, load, limit)


async def fetch_mappings(
    session: AsyncSession, statement: Select[Any], key: InstrumentedAttribute[Any], *, limit: int | None = None
) -> Sequence[Mapping[Any, Any]]:
    """Return rows as `fetch_scalars` returns objects. One of their columns is named as `key`."""

    async def load(part: Select[Any]) -> Sequence[Mapping[Any, Any]]:
        rows: Sequence[Mapping[Any, Any]] = (await session.execute(part)).mappings().all()
        return rows

    return await _fetch(session, statement, key, load, limit)


async def _fetch(
    session: AsyncSession,
    statement: Select[Any],
    key: InstrumentedAttribute[Any],
    load: Callable[[Select[Any]], Awaitable[Sequence[Row]]],
    limit: int | None,
) -> Sequence[Row]:
    """Load the first slice by one statement; only if it is full, or fails, load slices by their ids."""
    first = min(SLICE, limit or SLICE)
    rows: list[Row] = []
    try:
        rows += await load(statement.limit(first))
        if len(rows) < first or limit == first:
            return rows
    except ROW_ERRORS:
        # What was half loaded must be loaded again.
        session.expunge_all()
    loaded = {_row_id(row, key.key) for row in rows}
    found = await session.scalars(statement.with_only_columns(key, maintain_column_froms=True).limit(limit))
    ids = [row_id for row_id in found if row_id not in loaded]

    async def load_part(part: Sequence[Any]) -> Sequence[Row]:
        return await load(statement.where(key.in_(part)).limit(None).offset(None))

    return [*rows, *await fetch_by_ids(session, ids, load_part, key.class_.__name__)]


async def fetch_by_ids(
    session: AsyncSession, ids: Sequence[Any], load: Callable[[Sequence[Any]], Awaitable[Sequence[Row]]], kind: str
) -> Sequence[Row]:
    """Return what `load` returns for the ids, in slices, without the rows whose values cannot be loaded.

    `kind` is what they are called in logs and metrics.
    """
    rows: list[Row] = []
    left_out: dict[object, Exception] = {}

    async def fetch_part(part: Sequence[Any]) -> Sequence[Row]:
        try:
            return await load(part)
        except ROW_ERRORS:
            session.expunge_all()
            raise

    async def leave_out(row_id: object, error: Exception) -> Sequence[Row]:
        left_out[row_id] = error
        return ()

    for start in range(0, len(ids), SLICE):
        for part in await process_with_bisection(ids[start : start + SLICE], fetch_part, leave_out, errors=ROW_ERRORS):
            rows += part
    report_left_out(kind, left_out)
    return rows


async def valid_items(model: type[Item], rows: Sequence[object]) -> list[Item]:
    """Return the rows as models, without those that the model rejects."""
    items: list[Item] = []
    left_out: dict[object, Exception] = {}
    for number, row in enumerate(rows, 1):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        try:
            items.append(model.model_validate(row))
        except ROW_ERRORS as error:
            left_out[_row_id(row)] = error
    report_left_out(model.__name__, left_out)
    return items


async def valid_page(model: type[Item], page: PageRows[Any]) -> PageRows[Item]:
    """Return the page with its rows as models, without those that the model rejects; they count in the total."""
    return PageRows(await valid_items(model, page.rows), page.total)


def _row_id(row: object, key: str = "id") -> object:
    return row[key] if isinstance(row, Mapping) else getattr(row, key, 0)


def report_left_out(kind: str, left_out: Mapping[Any, Exception]) -> None:
    """Log and count rows that a response leaves out, by id, with the errors that they cause."""
    if not left_out:
        return
    reason = describe_row_error(next(iter(left_out.values())))
    log.error("rows_left_out", kind=kind, count=len(left_out), ids=list(left_out)[:MAX_LOGGED], reason=reason)
    LEFT_OUT.labels(kind).inc(len(left_out))
