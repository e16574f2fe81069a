"""Description of each field of the index document; mapping, builder, SQL fallback and checksums are made from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType
from typing import Any, Literal, TypeAlias, TypeVarTuple, get_args

from msgspec.structs import fields
from sqlalchemy import BigInteger, ColumnElement, Integer, Select, case, cast, extract, false, func

from schemas.api.entities import OccurrenceFields, RecommendedTemplate
from schemas.enums import ANTARCTICA
from schemas.index_document import TripDocument
from schemas.tables import Country, TripOccurrence, TripTemplate, TripTemplateTag, effective_price

Columns = TypeVarTuple("Columns")

Departure: TypeAlias = OccurrenceFields | TripOccurrence
Template: TypeAlias = RecommendedTemplate | TripTemplate


@dataclass(frozen=True, kw_only=True)
class DocumentField:
    """One field that conditions can refer to. Exactly one of `from_departure` and `from_template` is set."""

    es_type: Literal["boolean", "byte", "date", "integer", "keyword", "long"]
    """Elasticsearch type. Ids are `keyword`, as Elasticsearch advises for exact terms, and text in the document."""
    column: ColumnElement[Any]
    """The same value in SQL, for a query with the joins of `join_sources`. Its SQL type decides how the value of a
    condition is converted (see app/repositories/predicates.py)."""
    from_departure: Callable[[Departure], Any] | None = None
    """Compute the value from the departure."""
    from_template: Callable[[Template], Any] | None = None
    """Compute the value from the departure's template; it is computed once for all departures of a template."""
    many_to_one: ColumnElement[bool] | None = None
    """For a field with several values: which rows of the column's table belong to the departure."""

    nullable: bool = False

    @property
    def mapping(self) -> dict[str, Any]:
        return {"type": self.es_type, "format": "strict_date"} if self.es_type == "date" else {"type": self.es_type}


def _id_text(number: int | None) -> str | None:
    return None if number is None else str(number)


FIELDS: Mapping[str, DocumentField] = {
    "id": DocumentField(
        es_type="integer",
        column=TripOccurrence.id.expression,
        from_departure=lambda departure: departure.id,
    ),
    "active": DocumentField(
        es_type="boolean",
        column=TripTemplate.is_active.expression,
        from_template=lambda template: template.is_active,
    ),
    "country": DocumentField(
        es_type="keyword",
        column=TripTemplate.primary_country_id.expression,
        nullable=True,
        from_template=lambda template: _id_text(template.primary_country_id),
    ),
    "continent": DocumentField(
        es_type="keyword",
        column=Country.continent.expression,
        nullable=True,
        from_template=lambda template: template.primary_country and str(template.primary_country.continent),
    ),
    "antarctica": DocumentField(
        es_type="boolean",
        column=func.coalesce(Country.name == ANTARCTICA, false()),
        from_template=lambda template: bool(template.primary_country and template.primary_country.name == ANTARCTICA),
    ),
    "type": DocumentField(
        es_type="keyword",
        column=TripTemplate.trip_type_id.expression,
        nullable=True,
        from_template=lambda template: _id_text(template.trip_type_id),
    ),
    "themes": DocumentField(
        es_type="keyword",
        column=TripTemplateTag.tag_id.expression,
        from_template=lambda template: [str(tag.id) for tag in template.tags],
        many_to_one=TripTemplateTag.trip_template_id == TripTemplate.id,
    ),
    "level": DocumentField(
        es_type="byte",
        column=TripTemplate.difficulty_level.expression,
        from_template=lambda template: template.difficulty_level,
    ),
    "start": DocumentField(
        es_type="date",
        column=TripOccurrence.start_date.expression,
        from_departure=lambda departure: departure.start_date.isoformat(),
    ),
    "month": DocumentField(
        es_type="byte",
        column=cast(extract("month", TripOccurrence.start_date), Integer),
        from_departure=lambda departure: departure.start_date.month,
    ),
    "days": DocumentField(
        es_type="integer",
        # Postgres rejects a difference of infinite dates.
        column=case(
            (
                func.isfinite(TripOccurrence.start_date) & func.isfinite(TripOccurrence.end_date),
                cast(TripOccurrence.end_date - TripOccurrence.start_date, Integer) + 1,
            )
        ),
        from_departure=lambda departure: departure.duration_days,
    ),
    "price": DocumentField(
        es_type="long",
        # Postgres rejects the conversion of a price that is no number.
        column=case((effective_price != Decimal("NaN"), cast(effective_price * 100, BigInteger))),
        from_departure=lambda departure: int(Decimal(departure.effective_price) * 100),
    ),
    "spots": DocumentField(
        es_type="integer",
        column=TripOccurrence.spots_left.expression,
        from_departure=lambda departure: departure.spots_left,
    ),
    "status": DocumentField(
        es_type="keyword",
        column=TripOccurrence.status.expression,
        from_departure=lambda departure: departure.status,
    ),
}

NOT_SEARCHED: Mapping[str, dict[str, Any]] = {"trip": {"type": "object", "enabled": False}, "version": {"type": "long"}}
"""Mappings of the fields that no condition refers to."""

DERIVED: Mapping[str, dict[str, Any]] = {"offered_start": {"type": "date", "format": "strict_date"}}
"""Mappings of the fields that follow from others, in place of which only Elasticsearch compares them."""

_DECLARED = {field.name: NoneType in get_args(field.type) for field in fields(TripDocument)}
"""Whether each field of TripDocument is nullable, by name."""

if {name: field.nullable for name, field in FIELDS.items()} | dict.fromkeys(
    [*DERIVED, *NOT_SEARCHED], False
) != _DECLARED:
    raise TypeError("schemas/document_fields.py and TripDocument should name the same fields, as nullable or not.")

MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {**{name: field.mapping for name, field in FIELDS.items()}, **DERIVED, **NOT_SEARCHED},
}


INTEGER_BITS = {"byte": 7, "integer": 31, "long": 63}
MAX_KEYWORD = 8000
"""Characters; Elasticsearch takes 32,766 bytes."""

_LIMITS = [(name, 2 ** INTEGER_BITS[field.es_type]) for name, field in FIELDS.items() if field.es_type in INTEGER_BITS]


def check_ranges(values: Mapping[str, Any]) -> None:
    """Raise ValueError for a value that its Elasticsearch type cannot hold: one such row must not look like a fault
    of the index."""
    for name, limit in _LIMITS:
        if not -limit <= values[name] < limit:
            raise ValueError(f"{name} is out of range")
    if len(values["status"]) > MAX_KEYWORD:
        raise ValueError("status is too long")


def departure_values(departure: Departure) -> dict[str, Any]:
    """Return the values of the fields that the departure itself determines, by name."""
    return {name: value(departure) for name, value in _FROM_DEPARTURE}


def template_values(template: Template) -> dict[str, Any]:
    """Return the values of the fields that all departures of a template share, by name."""
    return {name: value(template) for name, value in _FROM_TEMPLATE}


_FROM_DEPARTURE = [(name, field.from_departure) for name, field in FIELDS.items() if field.from_departure]
_FROM_TEMPLATE = [(name, field.from_template) for name, field in FIELDS.items() if field.from_template]


def join_sources(query: Select[*Columns]) -> Select[*Columns]:
    """Join a query on departures with the tables that the fields' columns belong to."""
    template = query.join(TripTemplate, TripTemplate.id == TripOccurrence.trip_template_id)
    return template.outerjoin(Country, Country.id == TripTemplate.primary_country_id)
