"""Requests and responses of the analytics endpoints. Averages and rates of no requests are 0."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator

from schemas.lenient import iso_date
from schemas.messages.validation import invalid

MAX_DAYS = 90
DEFAULT_DAYS = 7

Days = Annotated[int, Field(ge=1, le=MAX_DAYS, description="The last days, up to now.")]
Day = Annotated[date, BeforeValidator(iso_date, json_schema_input_type=date)]


class MetricsQuery(BaseModel):
    days: Days = DEFAULT_DAYS


class DailyQuery(BaseModel):
    """A period of days in UTC."""

    start: Annotated[Day | None, Field(description=f"The default makes it {DEFAULT_DAYS} days.")] = None
    end: Annotated[Day | None, Field(validate_default=True, description="The default is today.")] = None

    @field_validator("end")
    @classmethod
    def _bounded(cls, end: date | None, info: ValidationInfo) -> date | None:
        start, last = info.data.get("start"), end or _today()
        if start is not None and start > last:
            raise invalid("before_start")
        if start is not None and last - start >= timedelta(days=MAX_DAYS):
            raise invalid("period_too_long", most=MAX_DAYS)
        return end

    @property
    def last(self) -> date:
        return self.end or _today()

    @property
    def first(self) -> date:
        return self.start or date.fromordinal(max(1, self.last.toordinal() - DEFAULT_DAYS + 1))


def _today() -> date:
    return datetime.now(UTC).date()


class TopSearchesQuery(BaseModel):
    days: Days = DEFAULT_DAYS
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


class MetricsResponse(BaseModel):
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


class DailyMetricsResponse(BaseModel):
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


class TopSearchesResponse(BaseModel):
    success: Literal[True]
    data: TopSearches
