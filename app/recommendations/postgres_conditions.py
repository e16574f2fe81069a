"""Render conditions and rules to SQL, for the search in Postgres. It ranks as Elasticsearch does, only slower."""

from collections.abc import Sequence
from datetime import date
from functools import singledispatch
from typing import Any, TypeVarTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    Enum,
    Integer,
    Select,
    String,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from schemas.document_fields import FIELDS, join_sources
from schemas.tables import TripOccurrence
from scoring import weights
from scoring.predicates import And, AtLeastN, Condition, Equals, Everything, In, Not, Or, Range, Scalar
from scoring.rules import RuleGroup

Columns = TypeVarTuple("Columns")


def ranking_query(condition: Condition, rules: Sequence[RuleGroup], size: int, max_candidates: int) -> Select[int, int]:
    """Select the `id`s of the best candidates in order, each with the `total` number of candidates.

    Of more than `max_candidates` only the first to depart are ranked and counted.
    """
    points = (case(*((to_sql(rule.condition), rule.points) for rule in group), else_=0) for group in rules)
    score: ColumnElement[int] = func.least(sum(points, start=literal(0)), weights.HIGHEST)
    start, id_ = TripOccurrence.start_date, TripOccurrence.id
    candidates = (
        filter_query(select(id_, start, score.label("score")), condition)
        .order_by(start, id_)
        .limit(max_candidates)
        .subquery()
        .c
    )
    return (
        select(candidates.id, func.count().over().label("total"))
        .order_by(candidates.score.desc(), candidates.start_date, candidates.id)
        .limit(size)
    )


def count_query(condition: Condition) -> Select[int]:
    return filter_query(select(func.count(TripOccurrence.id)), condition)


def filter_query(query: Select[*Columns], condition: Condition) -> Select[*Columns]:
    """Restrict a query on departures to those for which the condition holds."""
    return join_sources(query).where(to_sql(condition))


@singledispatch
def to_sql(condition: Condition) -> ColumnElement[bool]:
    """Render a condition to SQL. Never null: a condition on an absent value is false, and its negation true."""
    raise TypeError(f"no SQL for {condition}")


@to_sql.register
def _(condition: Equals) -> ColumnElement[bool]:
    return to_sql(In(condition.field, (condition.value,)))


@to_sql.register
def _(condition: In) -> ColumnElement[bool]:
    return to_sql(AtLeastN(1, condition.field, condition.values))


@to_sql.register
def _(condition: Range) -> ColumnElement[bool]:
    column = FIELDS[condition.field].column
    low = true() if condition.low is None else column >= convert_value(condition.low, column.type)
    high = true() if condition.high is None else column <= convert_value(condition.high, column.type)
    return _false_if_null(and_(low, high))


@to_sql.register
def _(condition: AtLeastN) -> ColumnElement[bool]:
    field = FIELDS[condition.field]
    wanted = field.column.in_([convert_value(value, field.column.type) for value in condition.values])
    if field.many_to_one is None:
        return _false_if_null(wanted) if condition.count == 1 else false()
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
    if isinstance(column_type, Enum) and column_type.enum_class is not None:
        return column_type.enum_class(value)
    if isinstance(column_type, Date):
        return date.fromisoformat(str(value))
    if isinstance(column_type, String | Boolean):
        return value
    raise TypeError(f"no conversion of {value!r} to a column of type {column_type!r}")


def _false_if_null(comparison: ColumnElement[bool]) -> ColumnElement[bool]:
    return func.coalesce(comparison, false())
