"""A collector that takes traces over OTLP (HTTP, protobuf), and traces of this process that are sent to it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from core.tracing.process import start_tracing, stopping_tracing


@dataclass
class Collector:
    """Spans that were received. While `status` is not 200 it refuses them; while `gate` is closed it stands still."""

    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def recording(self, **variables: str) -> AbstractContextManager[None]:
        """See `traced`: at the end of the block this collector has all."""
        return traced(self.patch, self.url, **variables)

    def named(self, name: str) -> Span:
        """Return the only span with this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def tree(self, name: str) -> list[str]:
        """Return the names of the spans below the only one with this name, indented, in the order of their start."""
        return self._lines(self.named(name), 0)

    def _lines(self, span: Span, depth: int) -> list[str]:
        children = sorted(
            (child for child in self.spans if child.parent_span_id == span.span_id and child.trace_id == span.trace_id),
            key=lambda child: child.start_time_unix_nano,
        )
        return ["  " * depth + span.name, *(line for child in children for line in self._lines(child, depth + 1))]


def attributes(span: Span) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in span.attributes}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@contextmanager
def collecting(**options: Any) -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector(**options)
    collector.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            assert self.headers["content-type"] == "application/x-protobuf"
            collector.requests += 1
            collector.gate.wait()
            if collector.status == 200:
                _take(collector, ExportTraceServiceRequest.FromString(body))
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # its base's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _take(collector: Collector, request: ExportTraceServiceRequest) -> None:
    for group in request.resource_spans:
        collector.resources.append({item.key: _value(item.value) for item in group.resource.attributes})
        for scope in group.scope_spans:
            collector.spans += scope.spans


@contextmanager
def traced(patch: pytest.MonkeyPatch, endpoint: str, **variables: str) -> Iterator[None]:
    """Make traces in this process, and send all at the end of the block; `variables` are of OpenTelemetry."""
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **variables}.items():
        patch.setenv(name, value)
    start_tracing("test")
    with stopping_tracing():
        yield
