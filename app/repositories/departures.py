"""Queries of departures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Integer,
    Numeric,
    Select,
    SQLColumnExpression,
    bindparam,
    case,
    extract,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql.visitors import iterate

from app.backends.database import Database, ReadSession
from app.repositories.lookups import PRIVATE_TYPE_ID
from app.repositories.predicates import to_sql
from app.repositories.queries import Total, count_anew, count_of, equals_id, fetch_page
from app.repositories.trip_json import fetch_departures
from app.repositories.valid_rows import fetch_scalars
from schemas.api.envelopes import PageRows
from schemas.api.queries import OccurrencesQuery, PageQuery, TripOccurrencesQuery
from schemas.tables import TripOccurrence, TripTemplate, effective_price
from scoring.availability import ACTIVE, HAS_SPOTS, NOT_CANCELLED, ON_SALE, upcoming
from scoring.predicates import And

NEXT_DEPARTURES = 5
"""Number of next departures that are listed with a template."""

_TEMPLATE = joinedload(TripOccurrence.template)
_GUIDE = joinedload(TripOccurrence.guide)

WITHOUT_TEMPLATE: tuple[ORMOption, ...] = (
    _GUIDE,
    _TEMPLATE.load_only(TripTemplate.base_price, TripTemplate.default_max_capacity, TripTemplate.image_url),
)
"""Load only the columns of the template that a departure inherits."""

BY_START = (TripOccurrence.start_date, TripOccurrence.id)

KEPT_LISTS = 32
"""Lists whose statements are kept: making one takes the API as long as decoding its page."""
_OFFSET, _LIMIT = bindparam("offset", type_=Integer), bindparam("limit", type_=Integer)


async def find_bookable(database: Database, query: OccurrencesQuery, today: date, total: Total) -> PageRows[bytes]:
    """Return a page of future departures that can be booked, as JSON."""
    chosen = _bookable_list(query.without_page(), today)
    return await _find_page(database, chosen, query, count_anew if _is_short(query) else total)


async def find_bookable_only(
    database: Database, query: OccurrencesQuery, today: date, total: Total
) -> PageRows[TripOccurrence]:
    """Return such a page of departures without their templates."""
    count = partial(_count, database, _bookable_list(query.without_page(), today))
    number = await (count_anew if _is_short(query) else total)(count)
    async with database.read() as session:
        rows = await fetch_page(session, _bookable(query, today), BY_START, query, WITHOUT_TEMPLATE)
    return PageRows(rows, number)


async def find_available(database: Database, query: TripOccurrencesQuery, today: date, total: Total) -> PageRows[bytes]:
    """Return a page of departures of active templates with places left, as JSON.

    Private Groups have no fixed dates or places: of them all that can be booked are returned.
    """
    chosen = _available_list(query.without_page(), today)
    return await _find_page(database, chosen, query, total)


def available_or_private(trip_type_id: int, today: date) -> tuple[ColumnElement[bool], ...]:
    """Return conditions for departures of a type: upcoming with places left, or any of Private Groups."""
    is_private = literal(trip_type_id, BigInteger) == PRIVATE_TYPE_ID
    # Postgres uses an index for one bound, not for a choice between conditions: it would read all past departures.
    first = select(case((is_private, text("date '-infinity'")), else_=literal(today, Date))).scalar_subquery()
    return or_(is_private, to_sql(HAS_SPOTS)), TripOccurrence.start_date >= first


async def find_template_departures(
    database: Database, template_id: int, page: PageQuery, total: Total
) -> PageRows[bytes]:
    """Return a page of all departures of a template, whatever their status, as JSON."""
    return await _find_page(database, _TEMPLATE_DEPARTURES, page, total, template_id=template_id)


async def next_departures(
    session: ReadSession, template_ids: Sequence[int], today: date
) -> Mapping[int, Sequence[TripOccurrence]]:
    """Return the next departures of each template, by template id."""
    rank = func.row_number().over(partition_by=TripOccurrence.trip_template_id, order_by=BY_START)
    ranked = (
        select(TripOccurrence.id, rank.label("rank"))
        .where(TripOccurrence.trip_template_id.in_(template_ids), to_sql(And((NOT_CANCELLED, upcoming(today)))))
        .subquery()
    )
    next_departures = (
        select(TripOccurrence).join(ranked, ranked.c.id == TripOccurrence.id).where(ranked.c.rank <= NEXT_DEPARTURES)
    )
    by_template: dict[int, list[TripOccurrence]] = {template_id: [] for template_id in template_ids}
    for row in await fetch_scalars(session, next_departures.order_by(*BY_START), TripOccurrence.id, WITHOUT_TEMPLATE):
        by_template[row.trip_template_id].append(row)
    return by_template


@dataclass(frozen=True)
class _List:
    """The statements of a list of departures."""

    ids: Select[int]
    """Of the page that begins at :offset and has :limit departures."""
    total: Select[int]
    """The number of departures on all pages."""

    @classmethod
    def of(cls, chosen: Select[TripOccurrence]) -> Self:
        ids = chosen.with_only_columns(TripOccurrence.id, maintain_column_froms=True)
        return cls(ids.order_by(*BY_START).offset(_OFFSET).limit(_LIMIT), count_of(chosen))


@lru_cache(KEPT_LISTS)
def _bookable_list(query: OccurrencesQuery, today: date) -> _List:
    return _List.of(_bookable(query, today))


@lru_cache(KEPT_LISTS)
def _available_list(query: TripOccurrencesQuery, today: date) -> _List:
    available: Iterable[ColumnElement[bool]] = (to_sql(HAS_SPOTS), to_sql(upcoming(today)))
    if query.trip_type_id is not None:
        available = available_or_private(query.trip_type_id, today)
    return _List.of(_select((to_sql(And((ACTIVE, ON_SALE))), *available, *_trip_conditions(query))))


def _bookable(query: OccurrencesQuery, today: date) -> Select[TripOccurrence]:
    return _select((to_sql(ON_SALE), to_sql(upcoming(today)), *_conditions(query)))


def _is_short(query: OccurrencesQuery) -> bool:
    """Return whether the list is short, because an index finds it: counting it takes less than sharing its total."""
    return query.template_id is not None or query.guide_id is not None


def _conditions(query: OccurrencesQuery) -> Iterator[ColumnElement[bool]]:
    if query.template_id is not None:
        yield equals_id(TripOccurrence.trip_template_id, query.template_id)
    if query.guide_id is not None:
        yield equals_id(TripOccurrence.guide_id, query.guide_id)
    if query.status is not None:
        yield TripOccurrence.status == query.status
    if query.min_price is not None:
        yield effective_price >= _exact(query.min_price)
    if query.max_price is not None:
        yield effective_price <= _exact(query.max_price)
    yield from _start_conditions(query)


def _exact(price: Decimal) -> ColumnElement[Decimal]:
    """Compare with the exact price, not rounded to the column's scale."""
    return literal(price, Numeric())


def _start_conditions(query: OccurrencesQuery) -> Iterator[ColumnElement[bool]]:
    if query.year is not None:
        yield extract("year", TripOccurrence.start_date) == query.year
    if query.month is not None:
        yield extract("month", TripOccurrence.start_date) == query.month
    if query.start_date is not None:
        yield TripOccurrence.start_date >= query.start_date
    if query.end_date is not None:
        yield TripOccurrence.start_date <= query.end_date


def _trip_conditions(query: TripOccurrencesQuery) -> Iterator[ColumnElement[bool]]:
    if query.trip_type_id is not None:
        yield equals_id(TripTemplate.trip_type_id, query.trip_type_id)
    if query.country_id is not None:
        yield equals_id(TripTemplate.primary_country_id, query.country_id)
    if query.difficulty is not None:
        yield equals_id(TripTemplate.difficulty_level, query.difficulty)
    if query.guide_id is not None:
        yield equals_id(TripOccurrence.guide_id, query.guide_id)
    if query.status is not None:
        yield TripOccurrence.status == query.status


def _select(conditions: Sequence[SQLColumnExpression[bool]]) -> Select[TripOccurrence]:
    """Select departures, without their templates where no condition names one: each departure has one."""
    chosen = select(TripOccurrence).where(*conditions)
    return chosen.join(TripOccurrence.template) if any(map(_names_template, conditions)) else chosen


def _names_template(condition: Any) -> bool:
    tables = (getattr(element, "table", None) for element in iterate(condition))
    return any(table is not None and table.name == TripTemplate.__tablename__ for table in tables)


_TEMPLATE_DEPARTURES = _List.of(
    _select((TripOccurrence.trip_template_id == bindparam("template_id", type_=BigInteger),))
)


async def _find_page(
    database: Database, chosen: _List, page: PageQuery, total: Total, **parameters: int
) -> PageRows[bytes]:
    """Return a page of departures with their templates, as JSON."""
    number = await total(partial(_count, database, chosen, **parameters))
    found = await database.fetch(chosen.ids, offset=page.offset, limit=page.limit, **parameters)
    return PageRows(await fetch_departures(database, [row_id for (row_id,) in found]), number)


async def _count(database: Database, chosen: _List, **parameters: int) -> int:
    ((number,),) = await database.fetch(chosen.total, **parameters)
    return number
