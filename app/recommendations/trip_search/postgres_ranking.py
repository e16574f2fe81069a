"""SQL of the search in Postgres. It ranks as Elasticsearch does, only slower."""

from collections.abc import Sequence
from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, case, func, literal, select

from app.repositories.predicates import to_sql
from schemas.document_fields import join_sources
from schemas.tables import TripOccurrence
from scoring import weights
from scoring.predicates import Condition
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
