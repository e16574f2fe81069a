"""Render the conditions of scoring/predicates.py to SQL, for queries with the joins of `join_sources`."""

from datetime import date
from functools import singledispatch
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    Integer,
    String,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from schemas.document_fields import FIELDS, DocumentField
from schemas.tables.bounded_text import BoundedString, BoundedText
from schemas.tables.open_enum import OpenEnum, label_text
from scoring.predicates import And, AtLeastN, Condition, Equals, Everything, In, Not, Or, Range, Scalar


@singledispatch
def to_sql(condition: Condition) -> ColumnElement[bool]:
    """Render a condition. The result is never null: a condition on an absent value is false, its negation true."""
    raise TypeError(f"no SQL for {condition}")


@to_sql.register
def _(condition: Equals) -> ColumnElement[bool]:
    return to_sql(In(condition.field, (condition.value,)))


@to_sql.register
def _(condition: In) -> ColumnElement[bool]:
    return to_sql(AtLeastN(1, condition.field, condition.values))


@to_sql.register
def _(condition: Range) -> ColumnElement[bool]:
    field = FIELDS[condition.field]
    column = field.column
    low = true() if condition.low is None else column >= convert_value(condition.low, column.type)
    high = true() if condition.high is None else column <= convert_value(condition.high, column.type)
    return _false_if_null(and_(low, high), field)


@to_sql.register
def _(condition: AtLeastN) -> ColumnElement[bool]:
    field = FIELDS[condition.field]
    column = label_text(field.column) if isinstance(field.column.type, OpenEnum) else field.column
    wanted = column.in_([convert_value(value, field.column.type) for value in condition.values])
    if field.many_to_one is None:
        return _false_if_null(wanted, field) if condition.count == 1 else false()
    return select(func.count()).where(field.many_to_one, wanted).scalar_subquery() >= condition.count


@to_sql.register
def _(condition: And) -> ColumnElement[bool]:
    return and_(true(), *(to_sql(part) for part in condition.conditions))


@to_sql.register
def _(condition: Or) -> ColumnElement[bool]:
    return or_(false(), *(to_sql(part) for part in condition.conditions))


@to_sql.register
def _(condition: Not) -> ColumnElement[bool]:
    return not_(to_sql(condition.condition))


@to_sql.register
def _(_condition: Everything) -> ColumnElement[bool]:
    return true()


def convert_value(value: Scalar, column_type: TypeEngine[Any]) -> Any:
    """Return the value of a document's field as the column of that field takes it.

    Raises: TypeError for a column type that is not known here.
    """
    if isinstance(column_type, Integer):
        # Ids are text in documents. BIGINT: ids that no column can hold are compared as well, and match nothing.
        return literal(int(value), BigInteger)
    if isinstance(column_type, OpenEnum):
        return column_type.label(str(value))
    if isinstance(column_type, Date):
        return date.fromisoformat(str(value))
    if isinstance(column_type, String | BoundedString | BoundedText | Boolean):
        return value
    raise TypeError(f"no conversion of {value!r} to a column of type {column_type!r}")


def _false_if_null(comparison: ColumnElement[bool], field: DocumentField) -> ColumnElement[bool]:
    # Not for columns that are never null: Postgres uses no index for a comparison inside COALESCE.
    return func.coalesce(comparison, false()) if field.nullable else comparison
