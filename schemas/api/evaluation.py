"""Requests and responses of the evaluation endpoints."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from schemas.api.model import ApiModel
from schemas.api.tracking import ShortText
from schemas.lenient import INT4, MAX_LIST, to_integral

ScenarioId = Annotated[int, Field(strict=True, ge=1, lt=INT4), BeforeValidator(to_integral)]


class ScenariosQuery(ApiModel):
    category: ShortText | None = None
    """Category whose scenarios are listed; any by default."""


class EvaluationRequest(ApiModel):
    """Scenarios to run; without ids, all active scenarios."""

    category: ShortText | None = None
    """Category whose scenarios are run; any by default."""
    scenario_ids: Annotated[list[ScenarioId], Field(max_length=MAX_LIST)] | None = None
    """Ids of the scenarios to run; all active ones by default."""


class ScenarioSummary(ApiModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    """Id of the scenario."""
    name: str
    """Name of the scenario."""
    description: str | None
    """What it checks; null if not described."""
    category: str | None
    """Category; null if it has none."""
    expected_min_results: int | None
    """Number of results that are expected at least; null if any number is right."""


class ScenarioResult(ApiModel):
    id: int
    """Id of the scenario."""
    name: str
    """Name of the scenario."""
    passed: bool
    """Whether all its expectations are met."""
    result_count: int
    """Number of results."""
    top_score: int | None
    """Best score, from 0 to 100 points; null without results."""
    failures: list[str]
    """Expectations that are not met."""


class EvaluationResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    total_scenarios: int
    """Number of scenarios that were run."""
    passed: int
    """Number of scenarios whose expectations are met."""
    failed: int
    """Number of the others."""
    results: list[ScenarioResult]
    """Result of each scenario."""
