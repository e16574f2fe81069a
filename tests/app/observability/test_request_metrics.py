import asyncio

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope, Send

from app.lifecycle.shutdown import DrainState
from app.middleware.request_context import RequestContextMiddleware


@pytest.fixture
def metrics(api: httpx2.AsyncClient) -> "ExportedMetrics":
    return ExportedMetrics(api)


class ExportedMetrics:
    def __init__(self, api: httpx2.AsyncClient) -> None:
        self._api = api

    async def of(self, name: str, **labels: str) -> float:
        text = (await self._api.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def requests(self, **labels: str) -> float:
        return await self.of("smarttrip_http_request_seconds_count", **labels)


async def test_requests_are_counted_by_labels(api: httpx2.AsyncClient, metrics: ExportedMetrics) -> None:
    labels = {"method": "GET", "route": "/livez", "status": "200"}
    before = await metrics.requests(**labels)
    await api.get("/livez?some=query")
    assert await metrics.requests(**labels) == before + 1


async def test_unknown_paths_and_methods_share_one_label(api: httpx2.AsyncClient, metrics: ExportedMetrics) -> None:
    before = await metrics.requests(method="other", route="unknown", status="404")
    for number in range(3):
        await api.request(f"MADE{number}", f"/no/such/{number}")
    assert await metrics.requests(method="other", route="unknown", status="404") == before + 3


async def test_wrong_method_is_counted_for_its_route(api: httpx2.AsyncClient, metrics: ExportedMetrics) -> None:
    before = await metrics.requests(method="other", route="/livez", status="405")
    await api.delete("/livez")
    assert await metrics.requests(method="other", route="/livez", status="405") == before + 1


async def test_head_is_counted_as_get(api: httpx2.AsyncClient, metrics: ExportedMetrics) -> None:
    before = await metrics.requests(method="GET", route="/livez", status="200")
    await api.head("/livez")
    assert await metrics.requests(method="GET", route="/livez", status="200") == before + 1


async def test_response_bytes_are_counted(api: httpx2.AsyncClient, metrics: ExportedMetrics) -> None:
    name = "smarttrip_http_response_bytes_total"
    before = await metrics.of(name, route="/livez")
    response = await api.get("/livez")
    assert await metrics.of(name, route="/livez") == before + len(response.content)


async def test_scrape_counts_itself_as_in_flight(metrics: ExportedMetrics) -> None:
    assert await metrics.of("smarttrip_http_requests_in_flight") == 1


async def test_disconnected_client_is_counted_as_499(metrics: ExportedMetrics) -> None:
    async def never_responds(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def no_message() -> dict[str, str]:
        return {"type": "http.disconnect"}

    before = await metrics.requests(status="499")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"draining": DrainState()}}
    middleware = RequestContextMiddleware(never_responds, allowed_origins=[])
    request = asyncio.create_task(middleware(scope, no_message, None))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert await metrics.of("smarttrip_http_requests_in_flight") == 2
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert await metrics.of("smarttrip_http_requests_in_flight") == 1
    assert await metrics.requests(status="499") == before + 1
