"""Traces of searches, as a collector receives them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from core.configuration.settings import Settings
from core.logs.configuration import add_ids
from indexer.rebuild.reindex import reindex
from schemas.enums import Continent
from tests.conftest import empty
from tests.support.api.serving import serving
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.otlp import Collector, attributes

SEARCH = "POST /api/v2/recommendations"
TRIPS = 8
PREFERENCES = {"budget": 9876, "selected_continents": ["Asia"]}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "gateway=7", "baggage": "user=dana"}


@pytest.fixture(scope="module")
async def trips(settings: Settings, engine: AsyncEngine, redis: Redis) -> None:
    """Create departures in Asia, enough for a search without relaxed results."""
    await empty(engine)
    await redis.flushdb()
    catalogue = CatalogueFactory(engine)
    country = await catalogue.country(continent=Continent.ASIA)
    template = await catalogue.template(primary_country_id=country, countries=[country])
    for _ in range(TRIPS):
        await catalogue.occurrence(trip_template_id=template)
    await reindex(settings, lambda progress: None)


@asynccontextmanager
async def traced_api(settings: Settings, collector: Collector, **variables: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve the API with traces; the collector has all of them when the block has ended."""
    with collector.recording(**variables):
        async with serving(settings) as api:
            yield api


def without_redis(lines: list[str]) -> list[str]:
    """Leave out what depends on whether the cache has subscribed to invalidations yet."""
    return [line for line in lines if not line.lstrip().startswith("redis ")]


@pytest.mark.usefixtures("trips")
async def test_trace_of_a_search_shows_what_it_did(settings: Settings, collector: Collector) -> None:
    async with traced_api(settings, collector) as api:
        headers = {"X-Request-ID": "of-this-test"}
        assert (await api.post("/api/v2/recommendations", json=PREFERENCES, headers=headers)).status_code == 200
    assert without_redis(collector.tree(SEARCH)) == [
        SEARCH,
        "  catalogue",
        "    postgres select",
        "    postgres select",
        "  build search",
        "  elasticsearch search",
        "  scoring",
        "  elasticsearch count",
        "  serialize",
    ]
    server = collector.named(SEARCH)
    assert server.kind == Span.SPAN_KIND_SERVER
    assert attributes(server) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/api/v2/recommendations",
        "smarttrip.cache": "fill",
        "smarttrip.request_id": "of-this-test",
        "url.scheme": "http",
    }
    search = attributes(collector.named("elasticsearch search"))
    assert search.pop("smarttrip.elasticsearch.took_ms") >= 0
    assert search == {
        "db.operation.name": "search",
        "db.response.status_code": "200",
        "db.system.name": "elasticsearch",
        "smarttrip.elasticsearch.hits": TRIPS,
    }


@pytest.mark.usefixtures("trips")
async def test_trace_of_a_cached_response_is_one_span(settings: Settings, collector: Collector) -> None:
    async with serving(settings) as api:
        await api.post("/api/v2/recommendations", json={**PREFERENCES, "budget": 9001})
    async with traced_api(settings, collector) as api:
        for _ in range(2):
            await api.post("/api/v2/recommendations", json={**PREFERENCES, "budget": 9001})
    last = max(collector.spans, key=lambda span: (span.name == SEARCH, span.start_time_unix_nano))
    assert attributes(last)["smarttrip.cache"] == "process"
    assert not [span for span in collector.spans if span.parent_span_id == last.span_id]


@pytest.mark.usefixtures("trips")
async def test_trace_of_a_fallback_has_its_reason(settings: Settings, collector: Collector) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        await proxy.switch(Mode.CUT)
        without_index = settings.model_copy(update={"elasticsearch_url": proxy.url, "answer_cache_seconds": 0})
        async with traced_api(without_index, collector) as api:
            assert (await api.post("/api/v2/recommendations", json=PREFERENCES)).json()["degraded"]
    fallback = collector.named("fallback")
    assert attributes(fallback) == {
        "smarttrip.fallback.reason": "ConnectionRefusedError",
        "smarttrip.fallback.source": "postgres",
    }
    assert fallback.parent_span_id == collector.named(SEARCH).span_id
    assert attributes(collector.named("elasticsearch search"))["error.type"] == "ConnectionRefusedError"


@pytest.mark.usefixtures("trips")
@pytest.mark.parametrize(("trusted", "budget"), [("127.0.0.1", 9002), ("192.0.2.1", 9003)])
async def test_context_goes_on_to_elasticsearch_but_baggage_does_not(
    settings: Settings, collector: Collector, trusted: str, budget: int
) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        changes = {"elasticsearch_url": proxy.url, "trusted_proxies": [trusted]}
        proxied = Settings.model_validate({**settings.model_dump(), **changes})
        async with traced_api(proxied, collector) as api:
            await api.post("/api/v2/recommendations", json={**PREFERENCES, "budget": budget}, headers=SAMPLED)
        sent = b"".join(connection.sent for connection in proxy.connections).decode(errors="replace")
    server, search = collector.named(SEARCH), collector.named("elasticsearch search")
    is_trusted = trusted == "127.0.0.1"
    assert f"traceparent: 00-{search.trace_id.hex()}-{search.span_id.hex()}-" in sent
    assert (server.trace_id.hex() == TRACE) is is_trusted
    assert [link.trace_id.hex() for link in server.links] == ([] if is_trusted else [TRACE])
    assert ("tracestate: gateway=7" in sent) is is_trusted
    assert "baggage" not in sent
    assert "dana" not in sent


@pytest.mark.parametrize(("repeated", "is_continued"), [("tracestate", True), ("traceparent", False)])
async def test_parts_of_a_tracestate_are_one_and_two_traceparents_are_none(
    settings: Settings, collector: Collector, repeated: str, is_continued: bool
) -> None:
    trusting = Settings.model_validate({**settings.model_dump(), "trusted_proxies": ["127.0.0.1"]})
    again = {"traceparent": f"00-{TRACE[::-1]}-00f067aa0ba902b7-01", "tracestate": "balancer=8"}
    headers = [*SAMPLED.items(), (repeated, again[repeated])]
    async with traced_api(trusting, collector) as api:
        await api.get("/livez", headers=headers)
    span = collector.named("GET /livez")
    assert (span.trace_id.hex() == TRACE) is is_continued
    assert span.trace_id.hex() != TRACE[::-1]
    assert span.trace_state == ("gateway=7,balancer=8" if is_continued else "")


@pytest.mark.parametrize("odd", [{"traceparent": "0" * 600}, {**SAMPLED, "tracestate": "planted,=planted"}])
async def test_malformed_context_of_anybody_is_not_logged(
    settings: Settings, collector: Collector, caplog: pytest.LogCaptureFixture, odd: dict[str, str]
) -> None:
    async with traced_api(settings, collector) as api:
        assert (await api.get("/livez", headers=odd)).status_code == 200
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


async def test_line_of_a_request_has_the_ids_of_its_span(settings: Settings, collector: Collector) -> None:
    with capture_logs(processors=[add_ids]) as log:
        async with traced_api(settings, collector) as api:
            await api.get("/livez")
    (line,) = [line for line in log if line["event"] == "request"]
    span = collector.named("GET /livez")
    assert (line["trace_id"], line["span_id"]) == (span.trace_id.hex(), span.span_id.hex())
    assert line["request_id"] == attributes(span)["smarttrip.request_id"]


@pytest.mark.usefixtures("trips")
async def test_request_that_is_left_out_has_one_trace_id(settings: Settings, collector: Collector) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        changes = {"elasticsearch_url": proxy.url, "answer_cache_seconds": 0}
        proxied = settings.model_copy(update=changes)
        with capture_logs(processors=[add_ids]) as log:
            async with traced_api(proxied, collector, OTEL_TRACES_SAMPLER="always_off") as api:
                for budget in (9004, 9005):
                    await api.post("/api/v2/recommendations", json={**PREFERENCES, "budget": budget})
        sent = b"".join(connection.sent for connection in proxy.connections).decode(errors="replace")
    first, second = (line for line in log if line["event"] == "request")
    assert first["trace_id"] != second["trace_id"]
    for line in (first, second):
        assert f"traceparent: 00-{line['trace_id']}-{line['span_id']}-00" in sent
    assert not collector.spans
