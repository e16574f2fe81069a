"""Read all rows of a table."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import Base


async def rows(engine: AsyncEngine, table: type[Base]) -> Sequence[Row[Any]]:
    """Return all rows in the order of their ids."""
    columns = table.__table__
    async with engine.connect() as connection:
        return (await connection.execute(select(columns).order_by(columns.c.id))).all()
