"""Conditions on many values at once."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Integer, any_, literal
from sqlalchemy.orm import InstrumentedAttribute


def in_array(column: ColumnElement[Any] | InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that the column has one of the values.

    They are one array parameter: a statement can have at most 32,767 parameters. Integers are sent as bigint: a value
    that the column cannot hold matches nothing and is no error.
    """
    element = BigInteger() if isinstance(column.type, Integer) else column.type
    return column == any_(literal([*values], ARRAY(element)))
