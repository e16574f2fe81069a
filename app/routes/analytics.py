"""How recommendations are asked for, and how well they do."""

from datetime import timedelta

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http.responses import json_response
from app.repositories import analytics
from app.state import ApiRequest
from schemas.api.analytics import (
    DailyMetrics,
    DailyMetricsAnswer,
    DailyQuery,
    Metrics,
    MetricsAnswer,
    MetricsQuery,
    TopSearches,
    TopSearchesAnswer,
    TopSearchesQuery,
)
from tracking.daily_metrics import METRIC_COLUMNS

NO_REQUESTS = dict.fromkeys(METRIC_COLUMNS, 0)


async def metrics(request: ApiRequest, query: MetricsQuery) -> Response:
    async with request.state["database"].read() as session:
        figures = await analytics.summary(session, query.days)
    data = Metrics.model_validate({"period": f"last_{query.days}_days", **figures})
    return json_response(request, MetricsAnswer(success=True, data=data).model_dump())


async def daily_metrics(request: ApiRequest, query: DailyQuery) -> Response:
    first, last = query.first, query.last
    async with request.state["database"].read() as session:
        known = await analytics.daily(session, first, last)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    data = [DailyMetrics.model_validate({"date": day, **known.get(day, NO_REQUESTS)}) for day in days]
    answer = DailyMetricsAnswer(success=True, start=first, end=last, count=len(data), data=data)
    return json_response(request, answer.model_dump())


async def top_searches(request: ApiRequest, query: TopSearchesQuery) -> Response:
    async with request.state["database"].read() as session:
        lists = await analytics.top_searches(session, query.days, query.limit)
    answer = TopSearchesAnswer(success=True, data=TopSearches.model_validate(lists))
    return json_response(request, answer.model_dump())


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/metrics",
        handler=metrics,
        summary="Recommendation requests of the last days in a few figures",
        tag="analytics",
        query=MetricsQuery,
        answer=MetricsAnswer,
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/metrics/daily",
        handler=daily_metrics,
        summary="Recommendation requests day by day",
        tag="analytics",
        query=DailyQuery,
        answer=DailyMetricsAnswer,
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/metrics/top-searches",
        handler=top_searches,
        summary="What was asked for most",
        tag="analytics",
        query=TopSearchesQuery,
        answer=TopSearchesAnswer,
        errors=(503,),
    ),
)
