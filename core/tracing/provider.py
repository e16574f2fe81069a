"""OpenTelemetry's provider of spans, its queue and its exporter, made from the standard variables."""

import logging
import os
import re
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.util.re import parse_env_headers
from prometheus_client import Counter

from core.tracing.opentelemetry_tracer import SCHEMA, ChosenIds, OpenTelemetryTracer

ELASTICSEARCH_SPANS = "OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED"
"""Variable of the Elasticsearch client, whose own spans would begin a trace with every call of a background task."""


# Their warnings quote what is malformed: OTEL_EXPORTER_OTLP_HEADERS, which has credentials, and anybody's headers.
for _quoting in ("util.re", "trace.span", "trace.propagation.tracecontext"):
    logging.getLogger(f"opentelemetry.{_quoting}").setLevel(logging.CRITICAL)


HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""Variables with the headers for the collector; the first one that is set counts."""

HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
"""What can be sent as the value of a header (RFC 9110)."""


class CountingExporter(OTLPSpanExporter):
    """Counts spans by what the collector did with them."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._sent, self._failed = counter.labels("sent"), counter.labels("failed")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        (self._sent if result is SpanExportResult.SUCCESS else self._failed).inc(len(spans))
        return result


class CountingProcessor(BatchSpanProcessor):
    """Counts spans that ended. Beyond the length of its queue (OTEL_BSP_MAX_QUEUE_SIZE) it drops the oldest."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(CountingExporter(counter))
        self._ended = counter.labels("ended")

    def on_end(self, span: ReadableSpan) -> None:
        self._ended.inc()
        super().on_end(span)


def create_tracer(service: str, version: str, counter: Counter) -> OpenTelemetryTracer:
    """Create the tracer of the process. Raises: ValueError, if a variable is invalid."""
    os.environ.setdefault(ELASTICSEARCH_SPANS, "false")
    _check_headers()
    provider = TracerProvider(resource=_resource(service, version), shutdown_on_exit=False, id_generator=ChosenIds())
    provider.add_span_processor(CountingProcessor(counter))
    return OpenTelemetryTracer(provider, version)


def _resource(service: str, version: str) -> Resource:
    """Return what the variables say of this process; they go before what is known by itself."""
    own = Resource({SERVICE_NAME: service, SERVICE_VERSION: version}, SCHEMA)
    return Resource.create().merge(own).merge(OTELResourceDetector().detect())


def _check_headers() -> None:
    """Raise ValueError for a header that cannot be sent: with each batch, the exporter would log its value."""
    text = next((os.environ[name] for name in HEADERS if os.environ.get(name)), "")
    for name, value in parse_env_headers(text, liberal=True).items():
        if not HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name} has a character that no header may have")
