"""Evaluate recommendations by stored scenarios: preferences, and expectations of what is found."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from pydantic import ValidationError

from app.http.errors import validation_error
from app.recommendations.service import RecommendationService
from core.concurrency.tasks import task_group
from core.errors import BackendError, ConflictError
from schemas.api.evaluation import ScenarioResult
from schemas.api.preferences import Preferences
from schemas.messages.message import Message
from schemas.row_errors import ROW_ERRORS, describe_row_error
from schemas.tables import EvaluationScenario
from scoring.explain import Recommendation
from scoring.weight_set import PLATFORM_SET, WeightSet

MAX_CONCURRENCY = 4
"""Scenarios that are evaluated at the same time."""


class EvaluationRunner:
    """Runs one evaluation at a time: each makes hundreds of searches."""

    def __init__(self, service: RecommendationService) -> None:
        """`service` has a search of its own, whose failures make no other search fail."""
        self._service = service
        self._running = asyncio.Lock()

    async def run(
        self, scenarios: Iterable[EvaluationScenario], today: date, weights: WeightSet = PLATFORM_SET
    ) -> list[ScenarioResult]:
        """Run the evaluation. Raises: ConflictError, while another evaluation runs in this process; BackendError."""
        if self._running.locked():
            raise ConflictError(Message("evaluation_running"))
        async with self._running:
            return await self._run(scenarios, today, weights)

    async def _run(
        self, scenarios: Iterable[EvaluationScenario], today: date, weights: WeightSet
    ) -> list[ScenarioResult]:
        semaphore = asyncio.Semaphore(MAX_CONCURRENCY)

        async def evaluate(scenario: EvaluationScenario) -> ScenarioResult:
            async with semaphore:
                return await _evaluate(self._service, scenario, today, weights)

        # Unlike with `gather`, no search goes on after one of them has failed.
        async with task_group(BackendError) as group:
            tasks = [group.create_task(evaluate(scenario)) for scenario in scenarios]
        return [task.result() for task in tasks]


async def _evaluate(
    service: RecommendationService, scenario: EvaluationScenario, today: date, weights: WeightSet
) -> ScenarioResult:
    try:
        preferences = Preferences.model_validate(scenario.preferences)
    except ValidationError as error:
        return _result(scenario, [], [f"the preferences can't be understood. {validation_error(error).message}"])
    found = (await service.recommend(preferences, today, weights)).all
    try:
        return _result(scenario, found, list(unmet_expectations(scenario, found)))
    except ROW_ERRORS as error:
        return _result(scenario, found, [f"the expectations can't be understood: {describe_row_error(error)}"])


def _result(scenario: EvaluationScenario, found: Sequence[Recommendation], failed: list[str]) -> ScenarioResult:
    return ScenarioResult(
        id=scenario.id,
        name=scenario.name,
        passed=not failed,
        result_count=len(found),
        top_score=_top_score(found),
        failures=failed,
    )


def _top_score(found: Sequence[Recommendation]) -> int | None:
    return max((recommendation.score for recommendation in found), default=None)


def unmet_expectations(scenario: EvaluationScenario, found: Sequence[Recommendation]) -> Iterator[str]:
    wanted = scenario.expected_min_results
    if wanted is not None and len(found) < wanted:
        yield f"{len(found)} results, expected at least {wanted}"
    lowest, top = scenario.expected_min_top_score, _top_score(found)
    if lowest is not None and (top is None or top < lowest):
        yield f"the top score is {'missing' if top is None else top}, expected at least {lowest}"
    yield from _missing("trip type", scenario.expected_trip_types, {trip.document.type for trip in found})
    yield from _missing("country", scenario.expected_countries, {trip.document.country for trip in found})


def _missing(noun: str, expected: Sequence[int] | None, found: set[str | None]) -> Iterator[str]:
    for wanted in expected or ():
        if str(wanted) not in found:
            yield f"no trip of {noun} {wanted}"
