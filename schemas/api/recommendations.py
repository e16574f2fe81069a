"""Response of a recommendation request."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.api.entities import RecommendedDeparture


class BreakdownLine(BaseModel):
    rule: str
    points: int
    label: str


class RecommendedTrip(RecommendedDeparture):
    """A departure with its score. The added fields are snake_case, unlike those of the entity."""

    match_score: Annotated[int, Field(ge=0, le=100, alias="match_score")]
    match_details: Annotated[list[str], Field(alias="match_details")]
    is_relaxed: Annotated[bool, Field(alias="is_relaxed")]
    score_breakdown: Annotated[list[BreakdownLine], Field(alias="score_breakdown")]
    """Rules that apply; their points sum to the score before clamping to 0..100."""


class ScoreThresholds(BaseModel):
    HIGH: int
    MID: int


class RecommendationsResponse(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    success: Literal[True]
    count: int
    """Number of departures in `data`."""
    primary_count: int
    """Departures in `data` that the primary search found."""
    relaxed_count: int
    """Departures in `data` that the relaxed search added."""
    total_candidates: int
    """Departures that match the primary search's filters, shown or not."""
    total_trips: int
    total_trips_in_db: int
    has_relaxed_results: bool
    score_thresholds: ScoreThresholds
    show_refinement_message: bool
    search_type: Literal["focused_search", "exploration"]
    api_version: Literal["v2"]
    message: str
    data: Annotated[list[RecommendedTrip], Field(max_length=30)]
    request_id: UUID
    degraded: Literal[True] | None = None
    """Present if the index or the database was unavailable and the response comes from the other."""
