"""Tracing by the standard variables: when it is on, and what a collector that fails does to the process: nothing."""

import socket
import sys

import pytest
from structlog.testing import capture_logs

from core.tracing import process, spans
from core.tracing.process import SPANS, is_wanted, start_tracing, stopping_tracing
from core.tracing.provider import HEADERS
from tests.support.eventually import eventually
from tests.support.otlp import Collector, collecting, traced

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def count(outcome: str) -> float:
    return float(SPANS.labels(outcome)._value.get())


def make_spans(number: int) -> None:
    for _ in range(number):
        with spans.begin("work"):
            pass


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "api"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, True),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_an_endpoint_switches_traces_on(variables: dict[str, str], wanted: bool) -> None:
    assert is_wanted(variables) is wanted


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "0"},
        {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "none-of-this-name"},
        {"packages": "missing"},
    ],
)
def test_process_goes_on_without_traces(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in {**ENDPOINT, **variables}.items():
        monkeypatch.setenv(name, value)
    if "packages" in variables:
        monkeypatch.setitem(sys.modules, "core.tracing.provider", None)
    with capture_logs() as lines, stopping_tracing():
        start_tracing("test")
        assert spans.tracer is None
    assert [line["event"] for line in lines] == ["tracing_unavailable"]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("odd", ["%0A", "%0D%0A", "%00", "%7F", "%C4%80", "%F0%9F%98%80"])
def test_header_that_cannot_be_sent_is_named_without_its_value(collector: Collector, name: str, odd: str) -> None:
    variables = {name: f"authorization=Bearer%20planted{odd}secret"}
    with capture_logs() as lines, collector.recording(**variables):
        assert spans.tracer is None
    (line,) = lines
    assert line["event"] == "tracing_unavailable"
    assert "authorization" in line["reason"]
    assert "planted" not in str(line)


def test_off_makes_nothing() -> None:
    start_tracing("test")
    with spans.begin("work") as span, spans.span("part"):
        assert span is spans.NO_SPAN
        assert spans.current_trace() == ""
        assert spans.outgoing_headers() == spans.ids() == {}
    assert spans.follow("work", ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]) is spans.NO_SPAN


def test_service_is_named_by_the_variables_first(collector: Collector) -> None:
    with collector.recording():
        make_spans(1)
    with collector.recording(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=staging"):
        make_spans(1)
    with collector.recording(OTEL_SERVICE_NAME="search"):
        make_spans(1)
    assert [resource["service.name"] for resource in collector.resources] == ["test", "test", "search"]
    assert [resource.get("deployment.environment.name") for resource in collector.resources] == [
        None,
        "staging",
        "staging",
    ]


def test_spans_outside_of_a_trace_are_not_recorded(collector: Collector) -> None:
    with collector.recording():
        with spans.span("part"):
            spans.record("call", 0.1)
        assert spans.follow("work", ["", "malformed"]) is spans.NO_SPAN
    assert not collector.spans


def test_error_has_its_type_and_not_its_text(collector: Collector) -> None:
    with collector.recording(), pytest.raises(ValueError, match="dana"), spans.begin("work"):
        raise ValueError("dana@example.org")
    assert "ValueError" in str(collector.spans)
    assert "dana" not in str(collector.spans)


async def test_dead_collector_costs_nothing_but_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    before = count("ended")
    with traced(monkeypatch, f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_TIMEOUT="1"):
        make_spans(100)
    assert count("ended") == before + 100


async def test_refused_spans_are_counted() -> None:
    before = count("failed")
    with collecting(status=400) as collector, collector.recording():
        make_spans(10)
        assert spans.tracer is not None
        spans.tracer.shut_down()
    assert count("failed") == before + 10


async def test_slow_collector_bounds_memory(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 60)
    collector.gate.clear()
    limits = {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50"}
    with collector.recording(**limits):
        make_spans(50)
        await eventually(lambda: collector.requests == 1)
        make_spans(1000)
        collector.gate.set()
    assert len(collector.spans) == 150


def test_end_of_the_process_does_not_wait_for_ever(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    collector.gate.clear()
    with capture_logs() as lines:
        with collector.recording():
            make_spans(1)
        assert lines[-1]["event"] == "traces_left_unsent"
    collector.gate.set()


def test_stop_without_traces_does_nothing() -> None:
    with capture_logs() as lines, stopping_tracing():
        pass
    assert lines == []
