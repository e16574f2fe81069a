"""Delete rows by age, by the clock of Postgres and a few days at a time.

A worker whose clock is wrong deletes nothing too early; if the clock of Postgres is, a run deletes little.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Delete, bindparam, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from core.transactions import run_transaction

log = structlog.get_logger()

MAX_DAYS_AT_ONCE = 7
"""Days with rows that one run deletes at most, of each table; what is left, the next runs delete."""

CHUNK = 5000
"""Rows removed in one transaction."""

MIDNIGHT = text("SELECT date_trunc('day', now(), 'UTC') - make_interval(days => :days)")


async def remove_expired(engine: AsyncEngine, age: InstrumentedAttribute[Any], days: int) -> int:
    """Delete the rows whose `age` is older than `days`, not counting today (UTC); return their number."""
    async with engine.connect() as connection:
        before: datetime = await connection.scalar(MIDNIGHT, {"days": days})
    removed = 0
    for _ in range(MAX_DAYS_AT_ONCE):
        end = await _end_of_first_day(engine, age, before)
        if end is None:
            return removed
        removed += await _remove(engine, age, end)
    if await _end_of_first_day(engine, age, before) is not None:
        log.warning("retention_limited", table=age.class_.__tablename__, days=MAX_DAYS_AT_ONCE, removed=removed)
    return removed


async def _end_of_first_day(engine: AsyncEngine, age: InstrumentedAttribute[Any], before: datetime) -> datetime | None:
    """Return the end of the first day (UTC) with rows older than `before`, or None."""
    day: ColumnElement[Any] = func.date_trunc("day", func.min(age), "UTC")
    async with engine.connect() as connection:
        first: datetime | None = await connection.scalar(select(day).where(age < before, func.isfinite(age)))
    return None if first is None else first + timedelta(days=1)


async def _remove(engine: AsyncEngine, age: InstrumentedAttribute[Any], end: datetime) -> int:
    removed = 0
    while rows := await _execute(engine, _delete_chunk(age), end):
        removed += rows
    return removed


def _delete_chunk(age: InstrumentedAttribute[Any]) -> Delete:
    table = age.class_
    old = select(table.id).where(age < bindparam("end", type_=age.type)).order_by(age).limit(CHUNK)
    return delete(table).where(table.id.in_(old))


async def _execute(engine: AsyncEngine, statement: Delete, end: datetime) -> int:
    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(statement, {"end": end})).rowcount

    return await run_transaction(engine, work)
