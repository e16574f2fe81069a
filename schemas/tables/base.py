"""Declarative base: the platform's naming convention of constraints, and recurring column types."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Integer, MetaData, Numeric, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from schemas.tables.bounded_text import BoundedString, BoundedText


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
        }
    )
    type_annotation_map: ClassVar = {
        str: BoundedText,
        int: Integer,
        datetime: DateTime(timezone=False),
        UUID: Uuid,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[int]: ARRAY(Integer),
        list[str]: ARRAY(Text),
        list[Decimal]: ARRAY(Numeric(5, 2)),
    }


NOW = text("now()")
ZERO = text("0")
TRUE = text("true")
FALSE = text("false")

Id = Annotated[int, mapped_column(primary_key=True)]
Small = Annotated[int, mapped_column(SmallInteger)]
Count = Annotated[int, mapped_column(server_default=ZERO)]
Flag = Annotated[bool, mapped_column(server_default=FALSE)]
Active = Annotated[bool, mapped_column(server_default=TRUE)]

Text20 = Annotated[str, mapped_column(BoundedString(20))]
Text50 = Annotated[str, mapped_column(BoundedString(50))]
Text100 = Annotated[str, mapped_column(BoundedString(100))]
Text255 = Annotated[str, mapped_column(BoundedString(255))]
Text500 = Annotated[str, mapped_column(BoundedString(500))]

Money = Annotated[Decimal, mapped_column(Numeric(10, 2))]
Score = Annotated[Decimal, mapped_column(Numeric(5, 2))]
Rate = Annotated[Decimal, mapped_column(Numeric(5, 4))]

Stamped = Annotated[datetime, mapped_column(server_default=text("CURRENT_TIMESTAMP"))]
"""Time at which a catalogue row was written, in UTC, stored without a zone."""
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
InstantNow = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=NOW)]
