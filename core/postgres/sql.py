"""Conditions on many values at once."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, ColumnElement, Integer, any_, exists, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute


def in_array(column: ColumnElement[Any] | InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that the column has one of the values.

    They are one array parameter: a statement can have at most 32,767 parameters. Integers are sent as bigint: a value
    that the column cannot hold matches nothing and is no error.
    """
    return column == any_(_array(column, values))


def not_in_array(
    column: ColumnElement[Any] | InstrumentedAttribute[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """Return the condition that the column has none of the values, of which there may be as many as rows.

    It is an anti-join, which Postgres hashes. Of `in_array` it tries each value for each row: an integer and a bigint
    have no hash function in common.
    """
    values_table = func.unnest(_array(column, values)).table_valued("value").render_derived()
    return ~exists(select(values_table.c.value).where(values_table.c.value == column))


def _array(column: ColumnElement[Any] | InstrumentedAttribute[Any], values: Collection[Any]) -> BindParameter[Any]:
    element = BigInteger() if isinstance(column.type, Integer) else column.type
    return literal([*values], ARRAY(element))
