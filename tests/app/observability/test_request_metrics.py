import asyncio

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope, Send

from app.lifecycle.shutdown import DrainState
from app.middleware.request_context import RequestContextMiddleware


@pytest.fixture
def figures(api: httpx2.AsyncClient) -> "Figures":
    return Figures(api)


class Figures:
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


async def test_requests_are_counted_by_method_route_and_status(api: httpx2.AsyncClient, figures: Figures) -> None:
    labels = {"method": "GET", "route": "/livez", "status": "200"}
    before = await figures.requests(**labels)
    await api.get("/livez?some=query")
    assert await figures.requests(**labels) == before + 1


async def test_addresses_and_methods_that_clients_make_up_are_one_label(
    api: httpx2.AsyncClient, figures: Figures
) -> None:
    before = await figures.requests(method="other", route="unknown", status="404")
    for number in range(3):
        await api.request(f"MADE{number}", f"/no/such/{number}")
    assert await figures.requests(method="other", route="unknown", status="404") == before + 3


async def test_a_wrong_method_counts_for_its_route(api: httpx2.AsyncClient, figures: Figures) -> None:
    before = await figures.requests(method="DELETE", route="/livez", status="405")
    await api.delete("/livez")
    assert await figures.requests(method="DELETE", route="/livez", status="405") == before + 1


async def test_bodies_are_measured(api: httpx2.AsyncClient, figures: Figures) -> None:
    name = "smarttrip_http_response_bytes_total"
    before = await figures.of(name, route="/livez")
    answer = await api.get("/livez")
    assert await figures.of(name, route="/livez") == before + len(answer.content)


async def test_the_request_that_asks_is_itself_in_flight(figures: Figures) -> None:
    assert await figures.of("smarttrip_http_requests_in_flight") == 1


async def test_a_client_that_goes_away_is_counted_and_no_longer_in_flight(figures: Figures) -> None:
    async def never_answers(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def no_message() -> dict[str, str]:
        return {"type": "http.disconnect"}

    before = await figures.requests(status="499")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"draining": DrainState()}}
    edge = RequestContextMiddleware(never_answers, allowed_origins=[])
    request = asyncio.create_task(edge(scope, no_message, None))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert await figures.of("smarttrip_http_requests_in_flight") == 2
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert await figures.of("smarttrip_http_requests_in_flight") == 1
    assert await figures.requests(status="499") == before + 1
