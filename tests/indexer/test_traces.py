"""Traces of changes and of a reindex, as a collector receives them."""

import re

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin import index_service
from core.concurrency.tasks import background_task
from core.configuration.settings import Settings
from core.tracing import spans
from indexer.backends import Backends
from indexer.feed.notifier import ChangeNotifier
from indexer.jobs.runner import run_jobs
from indexer.jobs.schedule import scheduled_jobs
from indexer.supervisor import IndexSupervisor
from tests.support.api.shared_database import database_on
from tests.support.eventually import eventually
from tests.support.otlp import Collector, attributes
from tests.support.sync import drain, execute


def summary(lines: list[str]) -> list[str]:
    """Join statements that follow each other, and calls of Redis."""
    text = re.sub(r"(\n *)(postgres|redis) \w+(\1\2 \w+)*", r"\1\2", "\n".join(lines))
    return text.split("\n")


async def test_trace_of_a_change_ends_with_the_invalidation(
    backends: Backends, ids: dict[str, int], redis: Redis, database: AsyncEngine, collector: Collector
) -> None:
    notifier = ChangeNotifier(backends, redis)
    await notifier.flush()
    await execute(database, "UPDATE trip_occurrences SET price_override = 4321 WHERE id = :id", id=ids["trip"])
    with collector.recording():
        for batch in await drain(backends, notifier.publisher):
            notifier.record(batch)
        assert await notifier.flush()
    assert summary(collector.tree("process outbox")) == [
        "process outbox",
        "  elasticsearch mget",
        "  postgres",
        "  read departures",
        "    postgres",
        "  write documents",
        "    elasticsearch bulk",
        "  postgres",
        "  refresh index",
        "    elasticsearch refresh",
        "  invalidate caches",
        "    redis",
    ]
    batch_span = collector.named("process outbox")
    assert batch_span.kind == Span.SPAN_KIND_CONSUMER
    assert attributes(batch_span)["smarttrip.outbox.rows"] == 1
    assert attributes(batch_span)["smarttrip.change.age_seconds"] >= 0
    assert attributes(collector.named("write documents")) == {
        "smarttrip.documents": 1,
        "smarttrip.documents.rejected": 0,
        "smarttrip.documents.retryable": 0,
        "smarttrip.documents.stale": 0,
    }
    assert attributes(collector.named("refresh index"))["smarttrip.change.age_seconds"] >= 0


async def test_refresh_is_linked_to_all_batches_that_it_shows(
    backends: Backends, ids: dict[str, int], redis: Redis, database: AsyncEngine, collector: Collector
) -> None:
    notifier = ChangeNotifier(backends, redis)
    await notifier.flush()
    with collector.recording():
        for name in ("trip", "other"):
            await execute(database, "UPDATE trip_occurrences SET price_override = 4321 WHERE id = :id", id=ids[name])
            for batch in await drain(backends, notifier.publisher):
                notifier.record(batch)
        await notifier.flush()
    batches = {span.span_id for span in collector.spans if span.name == "process outbox"}
    assert len(batches) == 2
    for name in ("refresh index", "invalidate caches"):
        shown = collector.named(name)
        assert {shown.parent_span_id, *(link.span_id for link in shown.links)} == batches


async def test_polls_make_no_spans(backends: Backends, index: str, redis: Redis, collector: Collector) -> None:
    notifier = ChangeNotifier(backends, redis)
    with collector.recording():
        await drain(backends)
        await notifier.flush()
    assert not collector.spans


async def test_trace_of_a_reindex_goes_from_the_call_to_the_swap(
    settings: Settings, backends: Backends, ids: dict[str, int], redis: Redis, collector: Collector
) -> None:
    supervisor = IndexSupervisor(settings, backends)
    jobs = scheduled_jobs(settings, backends.postgres, supervisor)
    with collector.recording(OTEL_BSP_SCHEDULE_DELAY="50"):
        with spans.begin("POST /api/admin/reindex"):
            async with database_on(backends.postgres) as database:
                await index_service.request_reindex(settings, database, redis)
        async with (
            background_task(run_jobs(settings.redis_url, jobs, prefix=settings.redis_prefix, poll_seconds=0.05)),
            background_task(supervisor.run()),
        ):
            await eventually(lambda: any(span.name == "reindex" for span in collector.spans), within=60)
    tree = collector.tree("POST /api/admin/reindex")
    assert [line for line in tree if not re.match(r" *(postgres|redis|elasticsearch) ", line)] == [
        "POST /api/admin/reindex",
        "  send reindex",
        "    job reindex",
        "      reindex",
        "        load index",
        "          scan departures",
        "          load departures",
        "            write documents",
        *["          scan departures"] * 5,
        "        compare index",
        "        swap index",
    ]
    assert attributes(collector.named("load index")) == {"smarttrip.documents": 2, "smarttrip.documents.rejected": 0}
