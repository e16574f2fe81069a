"""What was recommended, and how well. Some deployments of the platform lack these tables until we migrate."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.tables.base import Active, Base, Count, Flag, Id, Instant, InstantNow, Money, Rate, Score, Text50, Text100


class RecommendationRequest(Base):
    __tablename__ = "recommendation_requests"
    __table_args__ = (
        Index("idx_rec_requests_created_at", "created_at"),
        Index("idx_rec_requests_has_relaxed", "has_relaxed_results"),
        Index("idx_rec_requests_no_results", "has_no_results"),
        Index("idx_rec_requests_session", "session_id"),
        Index("idx_rec_requests_type", "preferred_type_id"),
    )

    id: Mapped[Id]
    request_id: Mapped[UUID] = mapped_column(unique=True)
    session_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[int | None]
    created_at: Mapped[InstantNow | None]
    preferences: Mapped[dict[str, Any]]
    selected_countries: Mapped[list[int] | None]
    selected_continents: Mapped[list[str] | None]
    preferred_type_id: Mapped[int | None]
    preferred_theme_ids: Mapped[list[int] | None]
    min_duration: Mapped[int | None]
    max_duration: Mapped[int | None]
    budget: Mapped[Money | None]
    difficulty: Mapped[int | None]
    year: Mapped[str | None] = mapped_column(String(4))
    month: Mapped[str | None] = mapped_column(String(2))
    """Too short for "all", which is stored as null."""
    response_time_ms: Mapped[int]
    total_candidates: Mapped[int]
    primary_count: Mapped[int]
    relaxed_count: Mapped[Count]
    final_count: Mapped[int]
    has_relaxed_results: Mapped[Flag | None]
    has_no_results: Mapped[Flag | None]
    top_score: Mapped[Score | None]
    avg_score: Mapped[Score | None]
    min_score: Mapped[Score | None]
    score_std_dev: Mapped[Score | None]
    result_trip_ids: Mapped[list[int]]
    result_scores: Mapped[list[Decimal]]
    algorithm_version: Mapped[str | None] = mapped_column(String(32), server_default=text("'v1.0'"))


class RecommendationMetricsDaily(Base):
    __tablename__ = "recommendation_metrics_daily"

    id: Mapped[Id]
    day: Mapped[date] = mapped_column("date", unique=True)
    total_requests: Mapped[Count]
    unique_sessions: Mapped[Count]
    avg_response_time_ms: Mapped[Money | None]
    p50_response_time_ms: Mapped[int | None]
    p95_response_time_ms: Mapped[int | None]
    p99_response_time_ms: Mapped[int | None]
    max_response_time_ms: Mapped[int | None]
    avg_top_score: Mapped[Score | None]
    avg_result_count: Mapped[Score | None]
    relaxed_trigger_rate: Mapped[Rate | None]
    no_results_rate: Mapped[Rate | None]
    low_score_rate: Mapped[Rate | None]
    searches_with_country: Mapped[int | None]
    searches_with_continent: Mapped[int | None]
    searches_with_type: Mapped[int | None]
    searches_with_themes: Mapped[int | None]
    searches_with_budget: Mapped[int | None]
    searches_with_dates: Mapped[int | None]
    top_countries: Mapped[list[Any] | None]
    top_continents: Mapped[list[Any] | None]
    top_types: Mapped[list[Any] | None]
    top_themes: Mapped[list[Any] | None]
    created_at: Mapped[InstantNow | None]
    updated_at: Mapped[InstantNow | None]


class EvaluationScenario(Base):
    __tablename__ = "evaluation_scenarios"

    id: Mapped[Id]
    name: Mapped[Text100]
    description: Mapped[str | None]
    category: Mapped[Text50 | None]
    preferences: Mapped[dict[str, Any]]
    expected_min_results: Mapped[int | None] = mapped_column(server_default=text("1"))
    expected_min_top_score: Mapped[Score | None]
    expected_trip_types: Mapped[list[int] | None]
    expected_countries: Mapped[list[int] | None]
    baseline_result_ids: Mapped[list[int] | None]
    baseline_scores: Mapped[list[Decimal] | None]
    baseline_captured_at: Mapped[Instant | None]
    is_active: Mapped[Active | None]
    priority: Mapped[int | None] = mapped_column(server_default=text("5"))
    created_at: Mapped[InstantNow | None]
    updated_at: Mapped[InstantNow | None]
