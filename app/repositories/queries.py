"""Parts of queries that several repositories share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from app.backends.database import ReadSession
from app.repositories.valid_rows import fetch_scalars
from schemas.api.envelopes import PageRows
from schemas.api.queries import PageQuery

Row = TypeVar("Row")

Count = Callable[[], Awaitable[int]]
Total = Callable[[Count], Awaitable[int]]
"""Returns the number of rows of a list: what another page has counted, or what is counted now."""


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
    """Return one page of the rows that `statement` selects, and their total number."""
    rows = await fetch_page(session, statement, order, page, options)
    return PageRows(rows, await session.scalar(count_of(statement)) or 0)


async def fetch_page(
    session: ReadSession,
    statement: Select[Row],
    order: Sequence[InstrumentedAttribute[Any]],
    page: PageQuery,
    options: Sequence[ORMOption],
) -> Sequence[Row]:
    """Return one page of the rows that `statement` selects. The id is the last of `order`."""
    chosen = statement.order_by(*order).offset(page.offset)
    return await fetch_scalars(session, chosen, order[-1], options, limit=page.limit)


def count_of(statement: Select[Any]) -> Select[int]:
    """Return the statement that counts the rows which `statement` selects."""
    return statement.with_only_columns(func.count(), maintain_column_froms=True)


async def count_anew(count: Count) -> int:
    """Return a total that is shared with nobody."""
    return await count()
