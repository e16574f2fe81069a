"""Traces of events, as a collector receives them: they go on in the worker, across the stream."""

import re
from signal import SIGTERM
from uuid import uuid4

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.redis_keys import TRACKING_STREAM
from tests.support.api.serve_process import serve_process
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.otlp import Collector, attributes
from tests.support.processes import worker_process
from tests.support.tracking.entries import event
from tracking import stream
from tracking.consumer import store_next_batch

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_trace_of_an_event_goes_on_in_the_worker(
    settings: Settings, collector: Collector, database: AsyncEngine, redis: Redis
) -> None:
    await redis.xadd(TRACKING_STREAM, {"event": event().body})
    sent = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4())}
    with collector.recording():
        async with serving(settings) as api:
            assert (await api.post("/api/events", json=sent)).status_code == 202
            assert await store_next_batch(redis, database) == 2
    assert re.sub(r"(\n +postgres \w+)+", r"\n      postgres", "\n".join(collector.tree("POST /api/events"))) == (
        "POST /api/events\n"
        f"  send {TRACKING_STREAM}\n"
        "    redis script\n"
        f"    process {TRACKING_STREAM}\n"
        "      postgres\n"
        "      redis xdel"
    )
    process = collector.named(f"process {TRACKING_STREAM}")
    assert process.kind == Span.SPAN_KIND_CONSUMER
    assert attributes(process)["messaging.batch.message_count"] == 2


async def test_batch_is_linked_to_the_traces_of_all_its_events(
    settings: Settings, collector: Collector, database: AsyncEngine, redis: Redis
) -> None:
    with collector.recording():
        async with serving(settings) as api:
            for _ in range(3):
                sent = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4())}
                await api.post("/api/events", json=sent)
            await store_next_batch(redis, database)
    process = collector.named(f"process {TRACKING_STREAM}")
    sends = {span.span_id for span in collector.spans if span.name == f"send {TRACKING_STREAM}"}
    assert {process.parent_span_id, *(link.span_id for link in process.links)} == sends


def unsent(collector: Collector) -> dict[str, str]:
    """Return variables with which a process sends its spans only when it ends."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}


@pytest.mark.slow
async def test_no_span_is_lost_when_the_processes_of_the_api_end(settings: Settings, collector: Collector) -> None:
    sent = {f"request-{number:04}" for number in range(40)}
    async with serve_process(settings, port=None, WORKERS="2", **unsent(collector)) as api:
        for request_id in sent:
            # A connection for each, so that both processes serve some.
            async with http_client(api.url) as client:
                assert (await client.get("/livez", headers={"X-Request-ID": request_id})).status_code == 200
        api.process.send_signal(SIGTERM)
        await api.process.wait()
    received = {attributes(span)["smarttrip.request_id"] for span in collector.spans if span.name == "GET /livez"}
    assert sent <= received
    assert {resource["service.name"] for resource in collector.resources} == {"smarttrip-api"}


@pytest.mark.slow
async def test_no_span_is_lost_when_the_worker_ends(
    settings: Settings, collector: Collector, database: AsyncEngine, redis: Redis
) -> None:
    await redis.xadd(TRACKING_STREAM, {"event": event().body, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    async def is_stored() -> bool:
        return await stream.length(redis) == 0

    async with worker_process(settings, **unsent(collector)) as worker:
        await eventually(is_stored, within=60)
        worker.process.send_signal(SIGTERM)
        await worker.process.wait()
    assert collector.named(f"process {TRACKING_STREAM}").trace_id.hex() == TRACE
    assert {resource["service.name"] for resource in collector.resources} == {"smarttrip-worker"}
