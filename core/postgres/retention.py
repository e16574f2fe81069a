"""Delete rows by age, by the clock of Postgres and a few days at a time.

A worker whose clock is wrong deletes nothing too early; if the clock of Postgres is, a run deletes little.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from core.postgres.batched_changes import change_rows
from core.postgres.sql import in_array
from core.postgres.transactions import run_transaction

log = structlog.get_logger()

MAX_DAYS_AT_ONCE = 7
"""Days with rows that one run deletes at most, of each table; what is left, the next runs delete."""

CHUNK = 5000
"""Rows removed in one transaction."""

MIDNIGHT = text("SELECT date_trunc('day', now(), 'UTC') - make_interval(days => :days)")


async def remove_expired(engine: AsyncEngine, age: InstrumentedAttribute[Any], days: int) -> int:
    """Delete the rows whose `age` is older than `days`, not counting today (UTC); return their number.

    Rows that Postgres protects stay, and days with nothing else do not count.
    """
    async with engine.connect() as connection:
        before: datetime = await connection.scalar(MIDNIGHT, {"days": days})
    removed, days_left = 0, MAX_DAYS_AT_ONCE
    after: datetime | None = None
    while days_left > 0:
        end = await _end_of_first_day(engine, age, after, before)
        if end is None:
            return removed
        in_day = await _remove(engine, age, after, end)
        removed, days_left, after = removed + in_day, days_left - bool(in_day), end
    if await _end_of_first_day(engine, age, after, before) is not None:
        log.warning("retention_limited", table=age.class_.__tablename__, days=MAX_DAYS_AT_ONCE, removed=removed)
    return removed


async def _end_of_first_day(
    engine: AsyncEngine, age: InstrumentedAttribute[Any], after: datetime | None, before: datetime
) -> datetime | None:
    """Return the end of the first day (UTC) with rows from `after` until `before`, or None."""
    day: ColumnElement[Any] = func.date_trunc("day", func.min(age), "UTC")
    async with engine.connect() as connection:
        first: datetime | None = await connection.scalar(
            select(day).where(*_period(age, after, before), func.isfinite(age))
        )
    return None if first is None else first + timedelta(days=1)


def _period(age: InstrumentedAttribute[Any], after: datetime | None, end: datetime) -> list[ColumnElement[bool]]:
    return [age < end] if after is None else [age >= after, age < end]


async def _remove(engine: AsyncEngine, age: InstrumentedAttribute[Any], after: datetime | None, end: datetime) -> int:
    table = age.class_

    async def remove(ids: Sequence[int]) -> Sequence[int]:
        async def work(connection: AsyncConnection) -> Sequence[int]:
            statement = delete(table).where(in_array(table.id, ids)).returning(table.id)
            return (await connection.scalars(statement)).all()

        return await run_transaction(engine, work)

    removed, protected = 0, set[int]()
    expired = select(table.id).where(*_period(age, after, end)).order_by(age).limit(CHUNK)
    while ids := await _read(engine, expired.where(~in_array(table.id, protected))):
        gone = await change_rows(table.__tablename__, ids, remove)
        removed += len(gone)
        protected |= {*ids} - gone
    return removed


async def _read(engine: AsyncEngine, statement: Select[int]) -> Sequence[int]:
    async with engine.connect() as connection:
        return (await connection.scalars(statement)).all()
