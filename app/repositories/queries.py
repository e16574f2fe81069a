"""Parts of queries that several repositories share."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from app.backends.database import ReadSession
from app.repositories.valid_rows import fetch_scalars
from schemas.api.envelopes import PageRows
from schemas.api.queries import PageQuery

Row = TypeVar("Row")


def equals_id(column: InstrumentedAttribute[Any], number: int) -> ColumnElement[bool]:
    """Compare as BIGINT, so that a number beyond the column's range matches nothing instead of failing."""
    return column == literal(number, BigInteger)


async def paginate(
    session: ReadSession,
    statement: Select[Row],
    order: Sequence[InstrumentedAttribute[Any]],
    page: PageQuery,
    options: Sequence[ORMOption],
) -> PageRows[Row]:
    """Return one page of the rows that `statement` selects, and their total number. The id is the last of `order`."""
    chosen = statement.order_by(*order).offset(page.offset)
    rows = await fetch_scalars(session, chosen, order[-1], options, limit=page.limit)
    return PageRows(rows, await count_rows(session, statement))


async def count_rows(session: ReadSession, statement: Select[Any]) -> int:
    """Return the number of rows that `statement` selects."""
    return await session.scalar(statement.with_only_columns(func.count(), maintain_column_froms=True)) or 0
