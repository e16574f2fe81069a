"""Conditions on many values."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, any_, literal
from sqlalchemy.orm import InstrumentedAttribute


def in_array(column: ColumnElement[Any] | InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """As one parameter, however many they are: a statement can have 32,767."""
    return column == any_(literal([*values], ARRAY(column.type)))
