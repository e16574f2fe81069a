"""What several repositories do alike."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from app.backends.database import ReadSession
from schemas.api.envelopes import PageRows
from schemas.api.queries import PageQuery

Row = TypeVar("Row")


def equals_id(column: InstrumentedAttribute[Any], number: int) -> ColumnElement[bool]:
    """Asked as a wide integer: a number that the column can't hold matches nothing and is no error."""
    return column == literal(number, BigInteger)


async def paginate(
    session: ReadSession,
    chosen: Select[Row],
    order: Sequence[InstrumentedAttribute[Any]],
    page: PageQuery,
    options: Sequence[ORMOption],
) -> PageRows[Row]:
    rows = await session.scalars(chosen.order_by(*order).limit(page.limit).offset(page.offset).options(*options))
    counted = chosen.with_only_columns(func.count(), maintain_column_froms=True)
    return PageRows(rows.all(), await session.scalar(counted) or 0)
