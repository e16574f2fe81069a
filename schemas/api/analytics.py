"""Requests and responses of the analytics endpoints. Averages and rates of no requests are 0."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from schemas.api.model import ApiModel
from schemas.lenient import iso_date
from schemas.messages.validation import invalid

MAX_DAYS = 90
DEFAULT_DAYS = 7

Days = Annotated[int, Field(ge=1, le=MAX_DAYS, description="The last days, up to now.")]
Day = Annotated[date, BeforeValidator(iso_date, json_schema_input_type=date)]


class MetricsQuery(ApiModel):
    days: Days = DEFAULT_DAYS


class DailyQuery(ApiModel):
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


class TopSearchesQuery(ApiModel):
    days: Days = DEFAULT_DAYS
    limit: Annotated[int, Field(ge=1, le=50, description="Entries of each list.")] = 10


class Metrics(ApiModel):
    period: str
    """The period in words."""
    total_requests: int
    """Number of recommendation requests."""
    unique_sessions: int
    """Number of sessions that sent them."""
    avg_response_time_ms: float
    """Mean response time, in milliseconds."""
    p95_response_time_ms: int
    """Response time that 95 % of the requests did not exceed, in milliseconds."""
    avg_top_score: float
    """Mean of the best scores, from 0 to 100 points."""
    no_results_rate: float
    """Share of requests without results, from 0 to 1."""
    relaxed_trigger_rate: float
    """Share of requests with a relaxed search, from 0 to 1."""


class MetricsResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    data: Metrics
    """Metrics of the period."""


class DailyMetrics(ApiModel):
    date: date
    """Day, in UTC."""
    total_requests: int
    """Number of recommendation requests."""
    unique_sessions: int
    """Number of sessions that sent them."""
    avg_response_time_ms: float
    """Mean response time, in milliseconds."""
    p50_response_time_ms: int
    """Median response time, in milliseconds."""
    p95_response_time_ms: int
    """Response time that 95 % of the requests did not exceed, in milliseconds."""
    p99_response_time_ms: int
    """Response time that 99 % of the requests did not exceed, in milliseconds."""
    max_response_time_ms: int
    """Longest response time, in milliseconds."""
    avg_top_score: float
    """Mean of the best scores, from 0 to 100 points."""
    avg_result_count: float
    """Mean number of results."""
    relaxed_trigger_rate: float
    """Share of requests with a relaxed search, from 0 to 1."""
    no_results_rate: float
    """Share of requests without results, from 0 to 1."""
    low_score_rate: float
    """Share of requests whose best score is low, from 0 to 1."""
    searches_with_country: int
    """Number of requests that name countries."""
    searches_with_continent: int
    """Number of requests that name continents."""
    searches_with_type: int
    """Number of requests that name a trip type."""
    searches_with_themes: int
    """Number of requests that name themes."""
    searches_with_dates: int
    """Number of requests that name a year, month or date."""
    searches_with_budget: int
    """Number of requests that name a budget."""


class DailyMetricsResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    start: date
    """First day."""
    end: date
    """Last day."""
    count: int
    """Number of days in `data`."""
    data: list[DailyMetrics]
    """Metrics by day, the earliest first."""


class CountedName(ApiModel):
    name: str
    """The continent."""
    count: int
    """Number of requests that name it."""


class CountedId(ApiModel):
    id: int
    """Id of the country, trip type or tag."""
    count: int
    """Number of requests that name it."""


class TopSearches(ApiModel):
    top_continents: list[CountedName]
    """Continents, the most frequent first."""
    top_countries: list[CountedId]
    """Countries, the most frequent first."""
    top_types: list[CountedId]
    """Trip types, the most frequent first."""
    top_themes: list[CountedId]
    """Themes, the most frequent first."""


class TopSearchesResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    data: TopSearches
    """The most frequent search terms."""
