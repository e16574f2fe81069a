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
EMPTY_AS_NONE = AfterValidator(lambda text: text or None)
EmptyAsNone = Annotated[str | None, EMPTY_AS_NONE]
Properties = Annotated[dict[str, Any] | None, BeforeValidator(_objects_only)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_objects_only)]


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
    """Id of the country."""
    name: str
    """Name of the country in English."""
    name_he: str
    """Name of the country in Hebrew."""
    continent: ContinentLabel
    """Continent of the country."""
    created_at: Timestamp
    """Time of creation, in UTC."""
    updated_at: Timestamp
    """Time of the last change, in UTC."""


class Tag(Entity):
    id: int
    """Id of the tag or trip type."""
    name: str
    """Name of the tag or trip type in English."""
    name_he: EmptyAsNone
    """Name of the tag or trip type in Hebrew."""
    description: str | None
    """Description in English; null if there is none."""
    created_at: Timestamp
    """Time of creation, in UTC."""
    updated_at: Timestamp
    """Time of the last change, in UTC."""


class TripType(Tag):
    pass


class Guide(Entity):
    id: int
    """Id of the guide."""
    name: str
    """Name of the guide in English."""
    name_he: EmptyAsNone
    """Name of the guide in Hebrew."""
    email: str
    """E-mail address."""
    phone: str | None
    """Phone number; null if unknown."""
    gender: GenderLabel
    """Gender."""
    age: int | None
    """Age in years; null if unknown."""
    bio: str | None
    """Biography in English; null if there is none."""
    bio_he: str | None
    """Biography in Hebrew; null if there is none."""
    image_url: str | None
    """URL of a portrait; null if there is none."""
    is_active: bool
    """Whether it is shown in lists."""
    created_at: Timestamp
    """Time of creation, in UTC."""
    updated_at: Timestamp
    """Time of the last change, in UTC."""


class Company(Entity):
    id: int
    """Id of the company."""
    name: str
    """Name of the company in English."""
    name_he: str
    """Name of the company in Hebrew."""
    description: str | None
    """Description in English; null if there is none."""
    description_he: str | None
    """Description in Hebrew; null if there is none."""
    logo_url: str | None
    """URL of the logo; null if there is none."""
    website_url: str | None
    """URL of the website; null if there is none."""
    email: str | None
    """E-mail address; null if unknown."""
    phone: str | None
    """Phone number; null if unknown."""
    address: str | None
    """Postal address; null if unknown."""
    is_active: bool
    """Whether it is shown in lists."""
    created_at: Timestamp
    """Time of creation, in UTC."""
    updated_at: Timestamp
    """Time of the last change, in UTC."""


class TemplateFields(Entity):
    id: int
    """Id of the template."""
    title: str
    """Title in English."""
    title_he: str
    """Title in Hebrew."""
    description: str
    """Description in English."""
    description_he: str
    """Description in Hebrew."""
    short_description: str | None
    """One or two sentences in English; null if there are none."""
    short_description_he: str | None
    """One or two sentences in Hebrew; null if there are none."""
    image_url: str | None
    """URL of a picture; null if there is none."""
    base_price: Money
    """Price per person, in the platform's currency with two decimals."""
    single_supplement_price: Money | None
    """Additional price of a single room, in the platform's currency; null if there is none."""
    typical_duration_days: int
    """Usual duration, in days."""
    default_max_capacity: int
    """Usual number of places."""
    difficulty_level: int
    """Difficulty, from 1 (easy) to 5 (hard)."""
    company_id: int
    """Id of the company."""
    trip_type_id: int | None
    """Id of the trip type; null if there is none."""
    primary_country_id: int | None
    """Id of the main country; null if there is none."""
    is_active: bool
    """Whether it is shown in lists."""
    properties: Properties
    """Further properties that the platform has stored; null if there are none."""
    created_at: Timestamp
    """Time of creation, in UTC."""
    updated_at: Timestamp
    """Time of the last change, in UTC."""
    company: Company
    """Company that offers it."""
    trip_type: TripType | None
    """Trip type; null if there is none."""
    primary_country: Country | None
    """Main country; null if there is none."""


class RecommendedTemplate(TemplateFields):
    """A template in recommendations."""

    tags: list[Tag]
    """Themes of the trip."""


class Template(TemplateFields):
    countries: list[Country]
    """All countries of the trip."""
    tags: list[Tag]
    """Themes of the trip."""


def _or_template(field: str, template_field: str) -> Any:
    """Return a field that is read from the entity's own JSON, else from the template; validators apply the override."""
    return Field(validation_alias=AliasChoices(field, AliasPath("template", template_field)))


class OccurrenceFields(Entity):
    """A departure without template and guide. The object that it is built from must have a template."""

    id: int
    """Id of the departure."""
    trip_template_id: int
    """Id of its template."""
    guide_id: int | None
    """Id of the guide; null if there is none yet."""
    start_date: date
    """First day."""
    end_date: date
    """Last day."""
    price_override: Money | None
    """Price per person where it differs from the template's, in the platform's currency; else null."""
    single_supplement_override: Money | None
    """Additional price of a single room where it differs from the template's, in the platform's currency; else null."""
    max_capacity_override: int | None
    """Number of places where it differs from the template's; else null."""
    spots_left: int
    """Number of places that can still be booked."""
    status: str
    """Status: Open, Guaranteed, Last Places, Full or Cancelled."""
    image_url_override: str | None
    """URL of a picture of its own; null if the template's is shown."""
    notes: str | None
    """Notes in English; null if there are none."""
    notes_he: str | None
    """Notes in Hebrew; null if there are none."""
    properties: Properties
    """Further properties that the platform has stored; null if there are none."""
    created_at: Timestamp
    """Time of creation, in UTC."""
    updated_at: Timestamp
    """Time of the last change, in UTC."""
    effective_price: Money = _or_template("effectivePrice", "base_price")
    """Price per person in the platform's currency: the departure's own, or else the template's."""
    effective_max_capacity: int = _or_template("effectiveMaxCapacity", "default_max_capacity")
    """Number of places: the departure's own, or else the template's."""
    effective_image_url: str | None = _or_template("effectiveImageUrl", "image_url")
    """URL of the picture: the departure's own, or else the template's; null if there is none."""
    duration_days: int = Field(default_factory=lambda data: (data["end_date"] - data["start_date"]).days + 1)
    """Duration in days, first and last day included."""

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
    """Template of the departure."""
    guide: Guide | None
    """Guide; null if there is none yet."""


class RecommendedDeparture(OccurrenceFields):
    """A departure in recommendations and index documents."""

    template: RecommendedTemplate
    """Template of the departure."""
    guide: Guide | None
    """Guide; null if there is none yet."""
