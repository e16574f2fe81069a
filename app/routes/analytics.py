"""Analytics: metrics of recommendation requests."""

from datetime import timedelta

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http.responses import json_response
from app.repositories import analytics
from app.state import ApiRequest
from schemas.api.analytics import (
    DailyMetrics,
    DailyMetricsResponse,
    DailyQuery,
    Metrics,
    MetricsQuery,
    MetricsResponse,
    TopSearches,
    TopSearchesQuery,
    TopSearchesResponse,
)
from tracking.aggregation.daily_metrics import METRIC_COLUMNS

NO_REQUESTS = dict.fromkeys(METRIC_COLUMNS, 0)


async def get_metrics(request: ApiRequest, query: MetricsQuery) -> Response:
    async with request.state["database"].read() as session:
        totals = await analytics.summarize(session, query.days)
    data = Metrics.model_validate({"period": f"last_{query.days}_days", **totals})
    return json_response(request, MetricsResponse(success=True, data=data).model_dump())


async def list_daily_metrics(request: ApiRequest, query: DailyQuery) -> Response:
    first, last = query.first, query.last
    async with request.state["database"].read() as session:
        by_day = await analytics.find_daily_metrics(session, first, last)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    data = [DailyMetrics.model_validate({"date": day, **by_day.get(day, NO_REQUESTS)}) for day in days]
    body = DailyMetricsResponse(success=True, start=first, end=last, count=len(data), data=data)
    return json_response(request, body.model_dump())


async def list_top_searches(request: ApiRequest, query: TopSearchesQuery) -> Response:
    async with request.state["database"].read() as session:
        lists = await analytics.find_top_searches(session, query.days, query.limit)
    body = TopSearchesResponse(success=True, data=TopSearches.model_validate(lists))
    return json_response(request, body.model_dump())


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/metrics",
        handler=get_metrics,
        summary="Return metrics of recommendation requests",
        description="Return request counts, response times and result quality over the last days.",
        tag="analytics",
        query=MetricsQuery,
        response=MetricsResponse,
    ),
    Endpoint(
        method="GET",
        path="/api/metrics/daily",
        handler=list_daily_metrics,
        summary="Return daily metrics of recommendation requests",
        description="Return the metrics of each day (UTC) from start to end. Days without requests are all zero.",
        tag="analytics",
        query=DailyQuery,
        response=DailyMetricsResponse,
    ),
    Endpoint(
        method="GET",
        path="/api/metrics/top-searches",
        handler=list_top_searches,
        summary="List the most frequent search terms",
        description=(
            "Return the continents, countries, trip types and themes that were searched for most over the last days."
        ),
        tag="analytics",
        query=TopSearchesQuery,
        response=TopSearchesResponse,
    ),
)
