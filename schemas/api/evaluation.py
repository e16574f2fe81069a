"""Requests and responses of the evaluation endpoints."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.api.tracking import ShortText
from schemas.lenient import INT4, MAX_LIST, to_integral

ScenarioId = Annotated[int, Field(strict=True, ge=1, lt=INT4), BeforeValidator(to_integral)]


class ScenariosQuery(BaseModel):
    category: ShortText | None = None


class EvaluationRequest(BaseModel):
    """Scenarios to run; without ids, all active scenarios."""

    category: ShortText | None = None
    scenario_ids: Annotated[list[ScenarioId], Field(max_length=MAX_LIST)] | None = None


class ScenarioSummary(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    description: str | None
    category: str | None
    expected_min_results: int | None


class ScenarioResult(BaseModel):
    id: int
    name: str
    passed: bool
    result_count: int
    top_score: int | None
    failures: list[str]


class EvaluationResponse(BaseModel):
    success: Literal[True]
    total_scenarios: int
    passed: int
    failed: int
    results: list[ScenarioResult]
