"""Spans of the current trace, for code that does not know whether traces are made.

`tracer` is None unless `core.tracing.process` found the variables of OpenTelemetry: until then each function is one
`if`. They do nothing either in a trace that the sampler left out, and outside of traces: only what begins a trace
(a request, a batch, a job) may make the first span of one.

A trace is passed on as a text in the format of the header `traceparent`; empty stands for none.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Literal, Protocol, Self

Attributes = Mapping[str, str | bool | int | float]
Kind = Literal["internal", "server", "client", "producer", "consumer"]


class Span:
    """A span that is not recorded. Within the block of one that is, it is the current span."""

    __slots__ = ()

    is_recorded = False
    trace = ""
    """The trace with this span as the parent of what follows; empty if it is not recorded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def set(self, attributes: Attributes) -> None:
        """Add attributes to the span."""

    def rename(self, name: str) -> None:
        """Replace the span's name."""

    def fail(self, error_type: str) -> None:
        """Mark what the span stands for as failed."""


NO_SPAN = Span()


class Tracer(Protocol):
    """Makes spans. Methods are described at the functions of this module that have their names, but for three:

    `leaves_out_request` decides about a request that continues no trace. `begin_request` follows unless it is left out,
    and returns the span of a request with these headers; a trusted client's trace is continued, any other is linked.
    `shut_down` sends the spans that are left.
    """

    def span(self, name: str, attributes: Attributes, kind: Kind) -> Span: ...
    def begin(self, name: str, attributes: Attributes, kind: Kind) -> Span: ...
    def leaves_out_request(self) -> bool: ...
    def begin_request(
        self, name: str, attributes: Attributes, headers: Mapping[str, str], *, is_trusted: bool
    ) -> Span: ...
    def follow(self, name: str, traces: Sequence[str], attributes: Attributes, kind: Kind) -> Span: ...
    def record(
        self, name: str, seconds: float, attributes: Attributes, kind: Kind, error: BaseException | None
    ) -> None: ...
    def trace(self) -> str: ...
    def outgoing_headers(self) -> Mapping[str, str]: ...
    def ids(self) -> Mapping[str, str]: ...
    def shut_down(self) -> None: ...


tracer: Tracer | None = None

within_recorded: ContextVar[bool] = ContextVar("within_recorded_span", default=False)
"""Whether the code runs within a recorded span. OpenTelemetry finds that out too, in ten times the time."""

NO_ATTRIBUTES: Attributes = {}


def use(new: Tracer | None) -> None:
    """Have the process make its spans with this tracer, or none."""
    global tracer  # noqa: PLW0603  # chosen once, at the start of a process
    tracer = new


def is_recorded() -> bool:
    """Return whether what happens now belongs to a recorded span."""
    return tracer is not None and within_recorded.get()


def span(name: str, attributes: Attributes = NO_ATTRIBUTES, kind: Kind = "internal") -> Span:
    """Return a child of the current span, for a `with` block."""
    return tracer.span(name, attributes, kind) if tracer is not None and within_recorded.get() else NO_SPAN


def begin(name: str, attributes: Attributes = NO_ATTRIBUTES, kind: Kind = "internal") -> Span:
    """Return the first span of a new trace, for a `with` block."""
    return NO_SPAN if tracer is None else tracer.begin(name, attributes, kind)


def follow(name: str, traces: Sequence[str], attributes: Attributes = NO_ATTRIBUTES, kind: Kind = "internal") -> Span:
    """Return a span of the first of these traces that is linked to the others; without a trace it is not recorded."""
    return NO_SPAN if tracer is None else tracer.follow(name, traces, attributes, kind)


def record(
    name: str,
    seconds: float,
    attributes: Attributes = NO_ATTRIBUTES,
    kind: Kind = "internal",
    error: BaseException | None = None,
) -> None:
    """Add a child of the current span that has just ended and took so long."""
    if tracer is not None and within_recorded.get():
        tracer.record(name, seconds, attributes, kind, error)


def current_trace() -> str:
    """Return the trace with the current span as the parent of what follows; empty if it is not recorded."""
    return tracer.trace() if tracer is not None and within_recorded.get() else ""


def recorded_trace_id() -> str:
    """Return the id of the current trace; empty if it is not recorded."""
    return current_trace()[3:35]


def outgoing_headers() -> Mapping[str, str]:
    """Return the headers that carry the current trace to another server, whether it is recorded or not."""
    return {} if tracer is None else tracer.outgoing_headers()


def ids() -> Mapping[str, str]:
    """Return the ids of the current trace and span as fields of a log line, whether they are recorded or not."""
    return {} if tracer is None else tracer.ids()
