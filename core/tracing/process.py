"""Start and end of tracing in a process, by the standard variables of OpenTelemetry (OTEL_*)."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

import structlog
from prometheus_client import Counter

from core.metrics.labels import with_values
from core.tracing import spans

log = structlog.get_logger()

SPANS = with_values(
    Counter("smarttrip_spans_total", "Spans that ended, and those that were sent or could not be", ["outcome"]),
    ("ended", "sent", "failed"),
)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"

STOP_SECONDS = 3.0
"""How long the end of a process waits for a collector that takes the last spans slowly, or not at all."""


def is_wanted(variables: Mapping[str, str]) -> bool:
    """Return whether the variables ask for traces."""
    return (
        any(variables.get(name) for name in ENDPOINTS)
        and variables.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and variables.get("OTEL_TRACES_EXPORTER", "").strip().lower() in ("", "otlp")
    )


def start_tracing(service: str) -> None:
    """Make traces from now on, if the variables ask for them, by default as those of `service`.

    Whatever is wrong with the variables, the process goes on without traces.
    """
    if not is_wanted(os.environ):
        return
    protocol = next((os.environ[name] for name in PROTOCOLS if os.environ.get(name)), PROTOCOL)
    if protocol != PROTOCOL:
        log.warning("tracing_unavailable", reason=f"the protocol should be {PROTOCOL}")
        return
    try:
        from core.tracing.provider import create_tracer  # noqa: PLC0415  # an optional dependency

        spans.use(create_tracer(service, version("smarttrip"), SPANS))
    except ImportError:
        log.warning("tracing_unavailable", reason="the packages of the extra `tracing` are not installed")
    except (ValueError, RuntimeError) as error:
        log.warning("tracing_unavailable", reason=f"a variable is invalid: {error}")


@contextmanager
def stopping_tracing() -> Iterator[None]:
    """At the end of the block, send the spans that are left, for STOP_SECONDS at most, and make no more."""
    try:
        yield
    finally:
        tracer = spans.tracer
        if tracer is not None:
            spans.use(None)
            # A thread that does not keep the process from ending.
            thread = threading.Thread(target=tracer.shut_down, daemon=True)
            thread.start()
            thread.join(STOP_SECONDS)
            if thread.is_alive():
                log.warning("traces_left_unsent")
