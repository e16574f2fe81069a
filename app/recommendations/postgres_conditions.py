"""The rules' conditions in SQL, for when the index can't be asked. Ranks as Elasticsearch does, only slower."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import singledispatch
from typing import Any, TypeVarTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    cast,
    extract,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from schemas.enums import ANTARCTICA, Continent
from schemas.tables import Country, TripOccurrence, TripTemplate, TripTemplateTag, effective_price
from scoring import weights
from scoring.predicates import And, AtLeastN, Condition, Equals, Everything, In, Not, Or, Range, Scalar
from scoring.rules import RuleGroup

Columns = TypeVarTuple("Columns")

THEMES = "themes"
"""The one field with several values."""

COLUMNS: dict[str, ColumnElement[Any]] = {
    "id": TripOccurrence.id.expression,
    "active": TripTemplate.is_active.expression,
    "country": TripTemplate.primary_country_id.expression,
    "continent": Country.continent.expression,
    "antarctica": Country.name == ANTARCTICA,
    "type": TripTemplate.trip_type_id.expression,
    "level": TripTemplate.difficulty_level.expression,
    "start": TripOccurrence.start_date.expression,
    "month": cast(extract("month", TripOccurrence.start_date), Integer),
    "days": cast(TripOccurrence.end_date - TripOccurrence.start_date, Integer) + 1,
    "price": cast(effective_price * 100, BigInteger),
    "spots": TripOccurrence.spots_left.expression,
    "status": TripOccurrence.status.expression,
}
"""The fields of the index document."""


def _id(value: Scalar) -> ColumnElement[int]:
    """Ids that no column can hold are compared as well, and match nothing."""
    return literal(int(value), BigInteger)


VALUE_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "country": _id,
    "type": _id,
    THEMES: _id,
    "id": _id,
    "continent": Continent,
    "start": date.fromisoformat,
}
"""From a document's value to the column's, where they differ."""


def ranking_query(condition: Condition, rules: Sequence[RuleGroup], size: int, max_candidates: int) -> Select[int, int]:
    """`id`s of the best candidates in order, each with the `total` of all.

    Of more than `max_candidates` only the first to depart are looked at.
    """
    points = (
        case(*((to_sql(rule.condition), rule.points) for rule in alternatives), else_=0) for alternatives in rules
    )
    score: ColumnElement[int] = func.least(sum(points, start=literal(0)), weights.HIGHEST)
    start, id_ = TripOccurrence.start_date, TripOccurrence.id
    looked_at = (
        filter_query(select(id_, start, score.label("score")), condition)
        .order_by(start, id_)
        .limit(max_candidates)
        .subquery()
        .c
    )
    return (
        select(looked_at.id, func.count().over().label("total"))
        .order_by(looked_at.score.desc(), looked_at.start_date, looked_at.id)
        .limit(size)
    )


def count_query(condition: Condition) -> Select[int]:
    return filter_query(select(func.count(TripOccurrence.id)), condition)


def filter_query(query: Select[*Columns], condition: Condition) -> Select[*Columns]:
    """A query on departures, of those alone for which the condition holds."""
    return (
        query.join(TripTemplate, TripTemplate.id == TripOccurrence.trip_template_id)
        .outerjoin(Country, Country.id == TripTemplate.primary_country_id)
        .where(to_sql(condition))
    )


@singledispatch
def to_sql(condition: Condition) -> ColumnElement[bool]:
    """Never null: a condition on an absent value is false, and its contrary true."""
    raise TypeError(f"no SQL for {condition}")


@to_sql.register
def _(condition: Equals) -> ColumnElement[bool]:
    return to_sql(In(condition.field, (condition.value,)))


@to_sql.register
def _(condition: In) -> ColumnElement[bool]:
    if condition.field == THEMES:
        return to_sql(AtLeastN(1, THEMES, condition.values))
    values = [_read(condition.field, value) for value in condition.values]
    return _false_if_null(COLUMNS[condition.field].in_(values))


@to_sql.register
def _(condition: Range) -> ColumnElement[bool]:
    column = COLUMNS[condition.field]
    low = true() if condition.low is None else column >= _read(condition.field, condition.low)
    high = true() if condition.high is None else column <= _read(condition.field, condition.high)
    return _false_if_null(and_(low, high))


@to_sql.register
def _(condition: AtLeastN) -> ColumnElement[bool]:
    assert condition.field == THEMES
    wanted = TripTemplateTag.tag_id.in_([_id(value) for value in condition.values])
    hits = select(func.count()).where(TripTemplateTag.trip_template_id == TripTemplate.id, wanted).scalar_subquery()
    return hits >= condition.count


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


def _read(field: str, value: Scalar) -> Any:
    return VALUE_CONVERTERS.get(field, lambda same: same)(value)


def _false_if_null(comparison: ColumnElement[bool]) -> ColumnElement[bool]:
    return func.coalesce(comparison, false())
