"""Requests and answers of the analytics endpoints. Averages and rates without a request to count are 0."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from schemas.loose import iso_date

MAX_DAYS = 90

Days = Annotated[int, Field(ge=1, le=MAX_DAYS, description="The last days, up to now.")]
Day = Annotated[date, BeforeValidator(iso_date, json_schema_input_type=date)]


class MetricsQuery(BaseModel):
    days: Days = 7


class DailyQuery(BaseModel):
    """Days are those of UTC."""

    start: Annotated[Day | None, Field(description="The default is 7 days before the end.")] = None
    end: Annotated[Day | None, Field(description="The default is today.")] = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.first > self.last:
            raise ValueError("start should not be after end")
        if self.last - self.first > timedelta(days=MAX_DAYS):
            raise ValueError(f"start and end should be at most {MAX_DAYS} days apart")
        return self

    @property
    def last(self) -> date:
        return self.end or datetime.now(UTC).date()

    @property
    def first(self) -> date:
        return self.start or date.fromordinal(max(1, self.last.toordinal() - 7))


class TopSearchesQuery(BaseModel):
    days: Days = 7
    limit: Annotated[int, Field(ge=1, le=50, description="Entries of each list.")] = 10


class Metrics(BaseModel):
    period: str
    total_requests: int
    unique_sessions: int
    avg_response_time_ms: float
    p95_response_time_ms: int
    avg_top_score: float
    no_results_rate: float
    relaxed_trigger_rate: float


class MetricsAnswer(BaseModel):
    success: Literal[True]
    data: Metrics


class DailyMetrics(BaseModel):
    date: date
    total_requests: int
    unique_sessions: int
    avg_response_time_ms: float
    p50_response_time_ms: int
    p95_response_time_ms: int
    p99_response_time_ms: int
    max_response_time_ms: int
    avg_top_score: float
    avg_result_count: float
    relaxed_trigger_rate: float
    no_results_rate: float
    low_score_rate: float
    searches_with_country: int
    searches_with_continent: int
    searches_with_type: int
    searches_with_themes: int
    searches_with_dates: int
    searches_with_budget: int


class DailyMetricsAnswer(BaseModel):
    success: Literal[True]
    start: date
    end: date
    count: int
    data: list[DailyMetrics]


class CountedName(BaseModel):
    name: str
    count: int


class CountedId(BaseModel):
    id: int
    count: int


class TopSearches(BaseModel):
    top_continents: list[CountedName]
    top_countries: list[CountedId]
    top_types: list[CountedId]
    top_themes: list[CountedId]


class TopSearchesAnswer(BaseModel):
    success: Literal[True]
    data: TopSearches
