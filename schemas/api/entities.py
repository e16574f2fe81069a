"""Entities of the HTTP API. Index documents, responses and the OpenAPI document are made from them.

They are built from any object with the tables' attributes: `Departure.model_validate(row)`.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
import pydantic_core
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from schemas.enums import Continent, Gender


def _to_scale(value: Any) -> Any:
    return f"{value:.2f}" if isinstance(value, Decimal) else value


def _as_utc(value: datetime) -> datetime:
    """Convert to UTC without fractions of a second. Stored timestamps have no zone and are UTC."""
    if value.tzinfo is not None:
        value = value.astimezone(UTC)
    return value.replace(microsecond=0, tzinfo=UTC)


MAX_JSON = 500_000
"""Bytes of a column's JSON."""
MARGIN = 16
"""Levels of nesting around a column's JSON in responses and documents."""


def _objects_only(value: Any) -> Any:
    """Replace other JSON values by None: columns accept any JSON, the API only objects.

    Raises: ValueError for an object that readers of JSON reject: too deep, huge, or with a number beyond 1e308.
    """
    if not isinstance(value, dict):
        return None
    wrapped: Any = value
    for _ in range(MARGIN):
        wrapped = [wrapped]
    text = pydantic_core.to_json(wrapped)
    orjson.loads(text)
    if len(text) > MAX_JSON:
        raise ValueError(f"has more than {MAX_JSON} bytes")
    return value


Money = Annotated[str, BeforeValidator(_to_scale), Field(pattern=r"^-?\d+\.\d{2}$", examples=["6630.00"])]
Timestamp = Annotated[datetime, AfterValidator(_as_utc)]
EmptyAsNone = Annotated[str | None, AfterValidator(lambda text: text or None)]
Properties = Annotated[dict[str, Any] | None, BeforeValidator(_objects_only)]


ContinentLabel = Annotated[Continent | str, Field(union_mode="left_to_right")]
GenderLabel = Annotated[Gender | str, Field(union_mode="left_to_right")]
"""Known values, or a label that the platform has added."""


class Entity(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        from_attributes=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


def to_json(entity: BaseModel) -> bytes:
    return entity.__pydantic_serializer__.to_json(entity)


class Country(Entity):
    id: int
    name: str
    name_he: str
    continent: ContinentLabel
    created_at: Timestamp
    updated_at: Timestamp


class Tag(Entity):
    id: int
    name: str
    name_he: EmptyAsNone
    description: str | None
    created_at: Timestamp
    updated_at: Timestamp


class TripType(Tag):
    pass


class Guide(Entity):
    id: int
    name: str
    name_he: EmptyAsNone
    email: str
    phone: str | None
    gender: GenderLabel
    age: int | None
    bio: str | None
    bio_he: str | None
    image_url: str | None
    is_active: bool
    created_at: Timestamp
    updated_at: Timestamp


class Company(Entity):
    id: int
    name: str
    name_he: str
    description: str | None
    description_he: str | None
    logo_url: str | None
    website_url: str | None
    email: str | None
    phone: str | None
    address: str | None
    is_active: bool
    created_at: Timestamp
    updated_at: Timestamp


class TemplateFields(Entity):
    id: int
    title: str
    title_he: str
    description: str
    description_he: str
    short_description: str | None
    short_description_he: str | None
    image_url: str | None
    base_price: Money
    single_supplement_price: Money | None
    typical_duration_days: int
    default_max_capacity: int
    difficulty_level: int
    company_id: int
    trip_type_id: int | None
    primary_country_id: int | None
    is_active: bool
    properties: Properties
    created_at: Timestamp
    updated_at: Timestamp
    company: Company
    trip_type: TripType | None
    primary_country: Country | None


class RecommendedTemplate(TemplateFields):
    """A template in recommendations."""

    tags: list[Tag]


class Template(TemplateFields):
    countries: list[Country]
    tags: list[Tag]


def _or_template(field: str, template_field: str) -> Any:
    """Return a field that is read from the entity's own JSON, else from the template; validators apply the override."""
    return Field(validation_alias=AliasChoices(field, AliasPath("template", template_field)))


class OccurrenceFields(Entity):
    """A departure without template and guide. The object that it is built from must have a template."""

    id: int
    trip_template_id: int
    guide_id: int | None
    start_date: date
    end_date: date
    price_override: Money | None
    single_supplement_override: Money | None
    max_capacity_override: int | None
    spots_left: int
    status: str
    image_url_override: str | None
    notes: str | None
    notes_he: str | None
    properties: Properties
    created_at: Timestamp
    updated_at: Timestamp
    effective_price: Money = _or_template("effectivePrice", "base_price")
    effective_max_capacity: int = _or_template("effectiveMaxCapacity", "default_max_capacity")
    effective_image_url: str | None = _or_template("effectiveImageUrl", "image_url")
    duration_days: int = Field(default_factory=lambda data: (data["end_date"] - data["start_date"]).days + 1)

    @field_validator("effective_price")
    @classmethod
    def _price_override(cls, base: str, info: ValidationInfo) -> str:
        override: str | None = info.data.get("price_override")
        return base if override is None else override

    @field_validator("effective_max_capacity")
    @classmethod
    def _capacity_override(cls, default: int, info: ValidationInfo) -> int:
        override: int | None = info.data.get("max_capacity_override")
        return default if override is None else override

    @field_validator("effective_image_url")
    @classmethod
    def _image_override(cls, template_image: str | None, info: ValidationInfo) -> str | None:
        return info.data.get("image_url_override") or template_image


class Departure(OccurrenceFields):
    template: Template
    guide: Guide | None


class RecommendedDeparture(OccurrenceFields):
    """A departure in recommendations and index documents."""

    template: RecommendedTemplate
    guide: Guide | None
