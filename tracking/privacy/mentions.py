"""Places that mention an e-mail address as text, whoever wrote it: pages, referrers, metadata, names."""

from typing import Any
from urllib.parse import quote

from sqlalchemy import JSON, ColumnElement, String, Text, TypeDecorator, cast, delete, func, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from schemas.tables import Base, BrowsingSession, DeadEvent, Event, RecommendationRequest, User

TABLES: tuple[type[Base], ...] = (Event, DeadEvent, BrowsingSession, RecommendationRequest, User)
"""Tables with texts that visitors send."""

DELETED: tuple[type[Base], ...] = (Event, DeadEvent)
"""Of these a row with the address is deleted; of the others only the text."""


def spellings(email: str) -> tuple[str, ...]:
    """Return how an address in lower case appears in texts: as it is, or encoded in a URL, once or twice."""
    once = quote(email, safe="").lower()
    return (email, once, quote(once, safe="").lower())


def mentions(text: str, email: str) -> bool:
    """Return whether the text contains the address in any spelling."""
    text = text.lower()
    return any(spelling in text for spelling in spellings(email))


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
    text = func.lower(cast(column, Text))
    return or_(*(func.strpos(text, spelling) > 0 for spelling in spellings(email)))


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
