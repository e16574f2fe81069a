"""Response of a recommendation request."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.api.entities import RecommendedDeparture
from schemas.api.model import ApiModel


class BreakdownLine(ApiModel):
    rule: str
    """Name of the rule."""
    points: int
    """Points that the rule adds or subtracts."""
    label: str
    """The rule in words, with its points."""


class RecommendedTrip(RecommendedDeparture):
    """A departure with its score. The added fields are snake_case, unlike those of the entity."""

    match_score: Annotated[int, Field(ge=0, le=100, alias="match_score")]
    """Score, from 0 to 100 points."""
    match_details: Annotated[list[str], Field(alias="match_details")]
    """Rules that apply, in words."""
    is_relaxed: Annotated[bool, Field(alias="is_relaxed")]
    """Whether the relaxed search found it, with filters less strict than asked."""
    score_breakdown: Annotated[list[BreakdownLine], Field(alias="score_breakdown")]
    """Rules that apply; their points sum to the score before clamping to 0..100."""


class ScoreThresholds(ApiModel):
    HIGH: int
    """Points from which a score is high."""
    MID: int
    """Points from which a score is medium."""


class RecommendationsResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    count: int
    """Number of departures in `data`."""
    primary_count: int
    """Departures in `data` that the primary search found."""
    relaxed_count: int
    """Departures in `data` that the relaxed search added."""
    total_candidates: int
    """Departures that match the primary search's filters, shown or not."""
    total_trips: int
    """The same as `total_candidates`."""
    total_trips_in_db: int
    """Number of departures that can be booked at all, as of the last minute."""
    has_relaxed_results: bool
    """Whether `relaxed_count` is above 0."""
    score_thresholds: ScoreThresholds
    """Scores at which clients change the colour."""
    show_refinement_message: bool
    """Whether clients advise to refine the preferences, because the best score is low."""
    search_type: Literal["focused_search", "exploration"]
    """`focused_search` for two preferences or more, otherwise `exploration`."""
    api_version: Literal["v2"]
    """Version of this API."""
    message: str
    """What was found, for people."""
    data: Annotated[list[RecommendedTrip], Field(max_length=30)]
    """Departures, the best first."""
    request_id: UUID
    """Id of this search, for events that refer to it."""
    degraded: Literal[True] | None = None
    """Present if the index or the database was unavailable and the response comes from the other."""
