"""Evaluation: scenarios with expectations of what is recommended."""

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http.errors import scenarios_not_found
from app.http.responses import json_response
from app.repositories import evaluation
from app.repositories.valid_rows import valid_items
from app.state import ApiRequest
from schemas.api.envelopes import ListResponse
from schemas.api.evaluation import EvaluationRequest, EvaluationResponse, ScenariosQuery, ScenarioSummary


async def list_scenarios(request: ApiRequest, query: ScenariosQuery) -> Response:
    async with request.state["database"].read() as session:
        found = await evaluation.find_scenarios(session, query.category)
    return json_response(
        request, ListResponse[ScenarioSummary].of(await valid_items(ScenarioSummary, found)).model_dump()
    )


async def run_evaluation(request: ApiRequest, body: EvaluationRequest) -> Response:
    ids = body.scenario_ids or []
    async with request.state["database"].read() as session:
        if unknown := await evaluation.find_unknown_ids(session, ids):
            raise scenarios_not_found(unknown)
        chosen = await evaluation.find_scenarios(session, body.category, ids)
    weights = request.state["rollout"].plan.stable.weights
    results = await request.state["evaluation"].run(chosen, request.state["today"](), weights)
    passed = sum(result.passed for result in results)
    report = EvaluationResponse(
        success=True,
        total_scenarios=len(results),
        passed=passed,
        failed=len(results) - passed,
        results=results,
    )
    return json_response(request, report.model_dump())


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/evaluation/scenarios",
        handler=list_scenarios,
        summary="List evaluation scenarios",
        description="Return active evaluation scenarios by id, optionally of one category.",
        tag="analytics",
        query=ScenariosQuery,
        response=ListResponse[ScenarioSummary],
    ),
    Endpoint(
        method="POST",
        path="/api/evaluation/run",
        handler=run_evaluation,
        summary="Run evaluation scenarios",
        description=(
            "Search for the preferences of each scenario and return which of its expectations are not met. A "
            "process runs one evaluation at a time."
        ),
        tag="analytics",
        rate_limit="evaluation",
        body=EvaluationRequest,
        response=EvaluationResponse,
        errors=(404, 409),
    ),
)
