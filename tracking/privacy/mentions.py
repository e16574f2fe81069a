"""Places that mention an e-mail address as text, whoever wrote it: pages, referrers, metadata, names."""

import re
from typing import Any

from sqlalchemy import JSON, ColumnElement, String, Text, TypeDecorator, cast, delete, func, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from schemas.tables import Base, BrowsingSession, DeadEvent, Event, RecommendationRequest, User
from tracking.privacy.spellings import SIGNS, address_pattern

TABLES: tuple[type[Base], ...] = (Event, DeadEvent, BrowsingSession, RecommendationRequest, User)
"""Tables with texts that visitors send."""

DELETED: tuple[type[Base], ...] = (Event, DeadEvent)
"""Of these a row with the address is deleted; of the others only the text."""


def mentions(text: str, email: str) -> bool:
    """Return whether the text contains the address in any spelling."""
    return re.search(address_pattern(email), text) is not None


def text_columns(table: type[Base]) -> list[InstrumentedAttribute[object]]:
    """Return the columns that can contain an address."""
    return [
        getattr(table, column.key)
        for column in table.__table__.columns
        if isinstance(_stored_type(column.type), (String, Text, JSON)) and not column.foreign_keys
    ]


def _stored_type(column_type: TypeEngine[Any]) -> TypeEngine[Any]:
    return column_type.impl_instance if isinstance(column_type, TypeDecorator) else column_type


def _contains(column: ColumnElement[object] | InstrumentedAttribute[object], email: str) -> ColumnElement[bool]:
    text = cast(column, Text)
    may_have = or_(*(func.strpos(text, sign) > 0 for sign in SIGNS))
    return may_have & text.regexp_match(address_pattern(email))


async def erase_mentions(connection: AsyncConnection, email: str) -> dict[str, int]:
    """Delete events that mention the address, and empty other columns that do; return the changed rows by table."""
    erased: dict[str, int] = {}
    for table in TABLES:
        rows = 0
        if table in DELETED:
            found = or_(*(_contains(column, email) for column in text_columns(table)))
            rows = (await connection.execute(delete(table).where(found))).rowcount
        else:
            for column in text_columns(table):
                if table.__table__.columns[column.key].nullable:
                    emptied = update(table).where(_contains(column, email)).values({column.key: None})
                    rows += (await connection.execute(emptied)).rowcount
        erased[str(table.__tablename__)] = rows
    return erased
