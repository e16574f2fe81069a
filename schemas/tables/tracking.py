"""Tracking tables: users, sessions, events, and interactions with trips."""

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from schemas.tables.base import (
    Active,
    Base,
    Count,
    Flag,
    Id,
    Instant,
    InstantNow,
    Rate,
    Score,
    Stamped,
    Text20,
    Text50,
    Text100,
    Text255,
)

Address = IPv4Address | IPv4Interface | IPv6Address | IPv6Interface


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        Index("idx_users_anonymous_id", "anonymous_id"),
        Index("idx_users_email", "email", postgresql_where=text("email IS NOT NULL")),
        Index("idx_users_last_seen", "last_seen_at"),
        Index("ix_users_email_lower", text("lower(email)")),
    )

    id: Mapped[Id]
    anonymous_id: Mapped[UUID] = mapped_column(unique=True)
    email: Mapped[Text255 | None] = mapped_column(unique=True)
    name: Mapped[Text100 | None]
    name_he: Mapped[Text100 | None]
    phone: Mapped[Text20 | None]
    preferred_language: Mapped[str | None] = mapped_column(String(5), server_default=text("'he'"))
    first_seen_at: Mapped[InstantNow | None]
    last_seen_at: Mapped[InstantNow | None]
    total_sessions: Mapped[int | None] = mapped_column(server_default=text("1"))
    total_searches: Mapped[Count | None]
    total_clicks: Mapped[Count | None]
    is_registered: Mapped[Flag | None]
    is_active: Mapped[Active | None]
    created_at: Mapped[InstantNow | None]
    updated_at: Mapped[InstantNow | None]


class BrowsingSession(Base):
    __tablename__ = "sessions"
    __table_args__ = (
        Index("idx_sessions_anonymous_id", "anonymous_id"),
        Index("idx_sessions_session_id", "session_id"),
        Index("idx_sessions_started_at", "started_at"),
        Index("idx_sessions_user_id", "user_id"),
    )

    id: Mapped[Id]
    session_id: Mapped[UUID] = mapped_column(unique=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    anonymous_id: Mapped[UUID]
    started_at: Mapped[InstantNow | None]
    ended_at: Mapped[Instant | None]
    duration_seconds: Mapped[int | None]
    user_agent: Mapped[str | None]
    ip_address: Mapped[Address | None] = mapped_column(INET)
    referrer: Mapped[str | None]
    device_type: Mapped[Text20 | None]
    search_count: Mapped[Count | None]
    click_count: Mapped[Count | None]
    save_count: Mapped[Count | None]
    contact_count: Mapped[Count | None]
    created_at: Mapped[InstantNow | None]


class EventCategory(Base):
    __tablename__ = "event_categories"
    __table_args__ = (Index("ix_event_categories_name", "name"),)

    id: Mapped[Id] = mapped_column(autoincrement=False)
    name: Mapped[Text50] = mapped_column(unique=True)
    name_he: Mapped[Text50]
    description: Mapped[str | None]
    created_at: Mapped[Stamped]


class EventType(Base):
    __tablename__ = "event_types"
    __table_args__ = (
        Index("ix_event_types_category", "category_id"),
        Index("ix_event_types_name", "name"),
    )

    id: Mapped[Id] = mapped_column(autoincrement=False)
    name: Mapped[Text50] = mapped_column(unique=True)
    name_he: Mapped[Text50]
    category_id: Mapped[int] = mapped_column(ForeignKey("event_categories.id", ondelete="RESTRICT"))
    description: Mapped[str | None]
    created_at: Mapped[Stamped]


class Event(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index("idx_events_session_id", "session_id"),
        Index("idx_events_source", "source"),
        Index("idx_events_timestamp", "timestamp"),
        Index("idx_events_trip_id", "trip_id"),
        Index("idx_events_trip_timestamp", "trip_id", "timestamp"),
        Index("idx_events_user_id", "user_id"),
        Index("idx_events_user_timestamp", "user_id", "timestamp"),
        Index("ix_events_event_type_id", "event_type_id"),
        Index("ix_events_event_uuid", "event_uuid", unique=True),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    session_id: Mapped[UUID]
    anonymous_id: Mapped[UUID]
    trip_id: Mapped[int | None]
    recommendation_request_id: Mapped[UUID | None]
    source: Mapped[Text50 | None]
    event_data: Mapped[dict[str, Any] | None] = mapped_column(server_default=text("'{}'::jsonb"))
    position_in_results: Mapped[int | None]
    score_at_time: Mapped[Score | None]
    timestamp: Mapped[InstantNow | None]
    client_timestamp: Mapped[Instant | None]
    page_url: Mapped[str | None]
    referrer: Mapped[str | None]
    created_at: Mapped[InstantNow | None]
    event_type_id: Mapped[int] = mapped_column(
        ForeignKey("event_types.id", name="fk_events_event_type", ondelete="RESTRICT")
    )
    event_uuid: Mapped[UUID | None]
    """Ours, not the platform's: the client's own id, so that an event sent twice is stored once."""


class TripInteraction(Base):
    __tablename__ = "trip_interactions"
    __table_args__ = (
        Index("idx_trip_interactions_clicks", text("click_count DESC")),
        Index("idx_trip_interactions_ctr", text("click_through_rate DESC NULLS LAST")),
        Index("idx_trip_interactions_trip_id", "trip_id"),
    )

    id: Mapped[Id]
    trip_id: Mapped[int] = mapped_column(unique=True)
    impression_count: Mapped[Count | None]
    unique_viewers: Mapped[Count | None]
    click_count: Mapped[Count | None]
    unique_clickers: Mapped[Count | None]
    total_dwell_time_seconds: Mapped[Count | None]
    avg_dwell_time_seconds: Mapped[Count | None]
    save_count: Mapped[Count | None]
    whatsapp_contact_count: Mapped[Count | None]
    phone_contact_count: Mapped[Count | None]
    booking_start_count: Mapped[Count | None]
    click_through_rate: Mapped[Rate | None]
    save_rate: Mapped[Rate | None]
    contact_rate: Mapped[Rate | None]
    impressions_7d: Mapped[Count | None]
    clicks_7d: Mapped[Count | None]
    last_clicked_at: Mapped[Instant | None]
    updated_at: Mapped[InstantNow | None]
