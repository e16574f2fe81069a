"""Whose trace a request belongs to, and what its span says. Without servers."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from types import SimpleNamespace

import pytest
from starlette.types import Receive, Scope, Send

from app.middleware.tracing import TracingMiddleware
from core.logs.configuration import add_ids
from core.request_record import RequestRecord, record_var
from core.tracing import spans
from tests.support.otlp import Collector, attributes

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PROXY = [IPv4Network("192.0.2.1/32")]


class Application:
    """Responds with a status, or not at all, and notes the ids that log lines have meanwhile."""

    def __init__(self, status: int | None = 200, route: str | None = "/api/trips/{trip_id}") -> None:
        self._status = status
        self._route = route
        self.logged: Mapping[str, object] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = RequestRecord()
        scope["state"] = {"context": SimpleNamespace(id="of-this-test", record=record)}
        if self._route:
            scope["route"] = SimpleNamespace(path=self._route)
        current = record_var.set(record)
        self.logged = add_ids(None, "info", {"event": "x"})
        record_var.reset(current)
        if self._status:
            await send({"type": "http.response.start", "status": self._status, "headers": []})


async def call(
    application: Application,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    client: str = "192.0.2.1",
) -> None:
    assert spans.tracer is not None
    middleware = TracingMiddleware(application, spans.tracer, PROXY)
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": "/api/trips/7", "query_string": b"q=1", "headers": raw}

    async def unused(*_: object) -> None:
        return

    await middleware({**scope, "client": (client, 5), "scheme": "https"}, unused, unused)  # type: ignore[arg-type]


async def test_span_names_the_route_not_the_path(collector: Collector) -> None:
    with collector.recording():
        await call(Application())
    assert attributes(collector.named("GET /api/trips/{trip_id}")) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/trips/{trip_id}",
        "smarttrip.request_id": "of-this-test",
        "url.scheme": "https",
    }


async def test_request_without_a_route_is_named_by_a_known_method(collector: Collector) -> None:
    with collector.recording():
        await call(Application(404, route=None))
        await call(Application(405, route=None), method="DANA")
    assert attributes(collector.named("GET"))["http.response.status_code"] == 404
    assert attributes(collector.named("_OTHER"))["http.request.method"] == "_OTHER"


@pytest.mark.parametrize(("status", "error"), [(499, None), (500, "500"), (None, "client_disconnected")])
async def test_failures_of_the_server_are_errors(collector: Collector, status: int | None, error: str | None) -> None:
    with collector.recording():
        await call(Application(status, route="/"))
    assert attributes(collector.named("GET /")).get("error.type") == error


@pytest.mark.parametrize("sampler", ["parentbased_always_off", "parentbased_traceidratio"])
async def test_sampler_decides_about_new_traces(collector: Collector, sampler: str) -> None:
    application = Application()
    with collector.recording(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0"):
        await call(application)
        await call(application, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert [span.trace_id.hex() for span in collector.spans] == [TRACE]


async def test_trusted_proxy_decides_that_a_trace_is_not_recorded(collector: Collector) -> None:
    application = Application()
    with collector.recording():
        await call(application, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"})
    assert not collector.spans
    assert application.logged["trace_id"] == TRACE


@pytest.mark.parametrize(("sampler", "flag"), [("parentbased_always_off", "01"), ("parentbased_always_on", "00")])
async def test_stranger_does_not_decide_whether_a_trace_is_recorded(
    collector: Collector, sampler: str, flag: str
) -> None:
    application = Application()
    with collector.recording(OTEL_TRACES_SAMPLER=sampler):
        await call(application, {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-{flag}"}, client="198.51.100.7")
    assert application.logged["trace_id"] != TRACE
    assert len(collector.spans) == (sampler == "parentbased_always_on")


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
async def test_log_lines_have_the_ids_whether_recorded_or_not(collector: Collector, sampler: str) -> None:
    application = Application(route="/")
    with collector.recording(OTEL_TRACES_SAMPLER=sampler):
        await call(application)
    assert len(str(application.logged["trace_id"])) == 32
    assert len(str(application.logged["span_id"])) == 16
    if sampler == "always_on":
        assert application.logged["span_id"] == collector.named("GET /").span_id.hex()
    assert add_ids(None, "info", {"event": "x"}) == {"event": "x"}


@pytest.mark.parametrize("header", ["x", "00-0-0-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", "ff-" + "a" * 500])
async def test_malformed_context_begins_a_new_trace(collector: Collector, header: str) -> None:
    with collector.recording():
        await call(Application(route="/"), {"traceparent": header})
    span = collector.named("GET /")
    assert not span.parent_span_id
    assert not span.links
