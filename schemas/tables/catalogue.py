"""Catalogue tables: countries, guides, companies, and trips as templates with dated departures (occurrences)."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from schemas.enums import Continent as ContinentName
from schemas.enums import Gender
from schemas.tables.base import Active, Base, Flag, Id, Money, Small, Stamped, Text20, Text50, Text100, Text255, Text500
from schemas.tables.open_enum import OpenEnum


class Country(Base):
    __tablename__ = "countries"
    __table_args__ = (
        Index("ix_countries_continent", "continent"),
        Index("ix_countries_name", "name", unique=True),
    )

    id: Mapped[Id]
    name: Mapped[Text100]
    name_he: Mapped[Text100]
    continent: Mapped[ContinentName | str] = mapped_column(OpenEnum(ContinentName, name="continent"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Guide(Base):
    __tablename__ = "guides"
    __table_args__ = (
        Index("ix_guides_email", "email", unique=True),
        Index("ix_guides_is_active", "is_active"),
    )

    id: Mapped[Id]
    name: Mapped[Text100]
    name_he: Mapped[Text100 | None]
    email: Mapped[Text255]
    phone: Mapped[Text20 | None]
    gender: Mapped[Gender | str] = mapped_column(OpenEnum(Gender, name="gender"))
    age: Mapped[int | None]
    bio: Mapped[str | None]
    bio_he: Mapped[str | None]
    image_url: Mapped[Text500 | None]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Company(Base):
    __tablename__ = "companies"
    __table_args__ = (
        Index("ix_companies_is_active", "is_active"),
        Index("ix_companies_name", "name"),
    )

    id: Mapped[Id]
    name: Mapped[Text255] = mapped_column(unique=True)
    name_he: Mapped[Text255]
    description: Mapped[str | None]
    description_he: Mapped[str | None]
    logo_url: Mapped[Text500 | None]
    website_url: Mapped[Text500 | None]
    email: Mapped[Text255 | None]
    phone: Mapped[Text50 | None]
    address: Mapped[str | None]
    is_active: Mapped[Active]
    created_at: Mapped[Stamped]
    updated_at: Mapped[Stamped]


class Tag(Base):
    """A theme of trips."""

    __tablename__ = "tags"
    __table_args__ = (Index("ix_tags_name", "name", unique=True),)

    id: Mapped[Id]
    name: Mapped[Text100]
    name_he: Mapped[Text100]
    description: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TripType(Base):
    __tablename__ = "trip_types"
    __table_args__ = (Index("ix_trip_types_name", "name", unique=True),)

    id: Mapped[Id]
    name: Mapped[Text100]
    name_he: Mapped[Text100]
    description: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class TripTemplateTag(Base):
    __tablename__ = "trip_template_tags"
    __table_args__ = (Index("ix_trip_template_tags_tag", "tag_id"),)

    trip_template_id: Mapped[int] = mapped_column(ForeignKey("trip_templates.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[Stamped]


class TripTemplateCountry(Base):
    __tablename__ = "trip_template_countries"
    __table_args__ = (
        Index("ix_trip_template_countries_country", "country_id"),
        Index("ix_trip_template_countries_order", "trip_template_id", "visit_order"),
    )

    trip_template_id: Mapped[int] = mapped_column(ForeignKey("trip_templates.id", ondelete="CASCADE"), primary_key=True)
    country_id: Mapped[int] = mapped_column(ForeignKey("countries.id", ondelete="CASCADE"), primary_key=True)
    visit_order: Mapped[int] = mapped_column(server_default=text("1"))
    days_in_country: Mapped[int | None]
    created_at: Mapped[Stamped]


class TripTemplate(Base):
    """Description and price of a trip; its dates are departures."""

    __tablename__ = "trip_templates"
    __table_args__ = (
        CheckConstraint("typical_duration_days > 0", name="ck_templates_duration_positive"),
        CheckConstraint("base_price >= 0", name="ck_templates_price_positive"),
        CheckConstraint("difficulty_level BETWEEN 1 AND 5", name="trip_templates_difficulty_level_check"),
        Index("ix_trip_templates_active", "is_active"),
        Index("ix_trip_templates_company", "company_id"),
        Index("ix_trip_templates_country", "primary_country_id"),
        Index("ix_trip_templates_difficulty", "difficulty_level"),
        Index("ix_trip_templates_legacy", "legacy_trip_id"),
        Index("ix_trip_templates_title", "title"),
        Index("ix_trip_templates_type", "trip_type_id"),
    )

    id: Mapped[Id]
    title: Mapped[Text255]
    title_he: Mapped[Text255]
    description: Mapped[str]
    description_he: Mapped[str]
    short_description: Mapped[Text500 | None]
    short_description_he: Mapped[Text500 | None]
    image_url: Mapped[Text500 | None]
    base_price: Mapped[Money]
    single_supplement_price: Mapped[Money | None]
    typical_duration_days: Mapped[int]
    default_max_capacity: Mapped[int]
    difficulty_level: Mapped[Small]
    company_id: Mapped[int] = mapped_column(ForeignKey("companies.id", ondelete="RESTRICT"))
    trip_type_id: Mapped[int | None] = mapped_column(ForeignKey("trip_types.id", ondelete="RESTRICT"))
    primary_country_id: Mapped[int | None] = mapped_column(ForeignKey("countries.id", ondelete="RESTRICT"))
    is_active: Mapped[Active]
    properties: Mapped[dict[str, Any] | None]
    legacy_trip_id: Mapped[int | None]
    created_at: Mapped[Stamped]
    updated_at: Mapped[Stamped]

    company: Mapped[Company] = relationship(lazy="raise")
    trip_type: Mapped[TripType | None] = relationship(lazy="raise")
    primary_country: Mapped[Country | None] = relationship(lazy="raise")
    tags: Mapped[list[Tag]] = relationship(secondary="trip_template_tags", order_by=Tag.id, lazy="raise", viewonly=True)
    countries: Mapped[list[Country]] = relationship(
        secondary="trip_template_countries",
        order_by=(TripTemplateCountry.visit_order, Country.id),
        lazy="raise",
        viewonly=True,
    )


class TripOccurrence(Base):
    """A dated departure of a template."""

    __tablename__ = "trip_occurrences"
    __table_args__ = (
        CheckConstraint("end_date >= start_date", name="ck_occurrences_valid_dates"),
        CheckConstraint("spots_left >= 0", name="trip_occurrences_spots_left_check"),
        Index("ix_trip_occurrences_dates", "start_date", "end_date"),
        Index("ix_trip_occurrences_guide", "guide_id"),
        Index("ix_trip_occurrences_legacy", "legacy_trip_id"),
        Index("ix_trip_occurrences_status", "status"),
        Index("ix_trip_occurrences_template", "trip_template_id"),
    )

    id: Mapped[Id]
    trip_template_id: Mapped[int] = mapped_column(ForeignKey("trip_templates.id", ondelete="RESTRICT"))
    guide_id: Mapped[int | None] = mapped_column(ForeignKey("guides.id", ondelete="SET NULL"))
    start_date: Mapped[date]
    end_date: Mapped[date]
    price_override: Mapped[Money | None]
    single_supplement_override: Mapped[Money | None]
    max_capacity_override: Mapped[int | None]
    spots_left: Mapped[int]
    status: Mapped[Text20] = mapped_column(server_default=text("'Open'"))
    image_url_override: Mapped[Text500 | None]
    notes: Mapped[str | None]
    notes_he: Mapped[str | None]
    properties: Mapped[dict[str, Any] | None]
    legacy_trip_id: Mapped[int | None]
    created_at: Mapped[Stamped]
    updated_at: Mapped[Stamped]

    template: Mapped[TripTemplate] = relationship(lazy="raise")
    guide: Mapped[Guide | None] = relationship(lazy="raise")

    @property
    def duration_days(self) -> int:
        """Days of the trip; the first and the last day count."""
        return (self.end_date - self.start_date).days + 1

    @property
    def effective_price(self) -> Decimal:
        return self.template.base_price if self.price_override is None else self.price_override


effective_price = func.coalesce(TripOccurrence.price_override, TripTemplate.base_price)
"""SQL of `TripOccurrence.effective_price`, for a query that joins departures with their templates."""


class PriceHistory(Base):
    __tablename__ = "price_history"
    __table_args__ = (
        Index("ix_price_history_date", "changed_at"),
        Index("ix_price_history_template", "trip_template_id"),
    )

    id: Mapped[Id]
    trip_template_id: Mapped[int] = mapped_column(ForeignKey("trip_templates.id", ondelete="CASCADE"))
    old_price: Mapped[Money | None]
    new_price: Mapped[Money]
    change_reason: Mapped[Text255 | None]
    changed_by: Mapped[Text100 | None]
    changed_at: Mapped[Stamped]


class Review(Base):
    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint("rating BETWEEN 1 AND 5", name="reviews_rating_check"),
        Index("ix_reviews_approved", "is_approved"),
        Index("ix_reviews_featured", "is_featured"),
        Index("ix_reviews_occurrence", "trip_occurrence_id"),
        Index("ix_reviews_rating", "rating"),
        Index("ix_reviews_template", "trip_template_id"),
    )

    id: Mapped[Id]
    trip_template_id: Mapped[int] = mapped_column(ForeignKey("trip_templates.id", ondelete="CASCADE"))
    trip_occurrence_id: Mapped[int | None] = mapped_column(ForeignKey("trip_occurrences.id", ondelete="SET NULL"))
    reviewer_name: Mapped[Text100 | None]
    reviewer_email: Mapped[Text255 | None]
    is_anonymous: Mapped[Flag]
    rating: Mapped[Small]
    title: Mapped[str | None] = mapped_column(String(200))
    content: Mapped[str | None]
    content_he: Mapped[str | None]
    source: Mapped[Text20] = mapped_column(server_default=text("'Website'"))
    is_verified: Mapped[Flag]
    is_approved: Mapped[Flag]
    is_featured: Mapped[Flag]
    travel_date: Mapped[date | None]
    created_at: Mapped[Stamped]
    updated_at: Mapped[Stamped]
