"""The tracer that records: OpenTelemetry. Imported only where the variables of OpenTelemetry ask for traces."""

import random
import time
from collections.abc import Mapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler, TraceIdRatioBased
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.request_record import record_var
from core.tracing.spans import NO_SPAN, Attributes, Kind, Span, within_recorded

SCHEMA = Schemas.V1_44_0.value
"""Version of the semantic conventions by which spans and attributes are named."""

KINDS = {kind.name.lower(): kind for kind in SpanKind}

PROPAGATOR = TraceContextTextMapPropagator()
"""Only the W3C trace context: baggage, which anybody may fill, is neither read nor passed on."""

NEW_TRACE = Context()

LAST_64_BITS = TraceIdRatioBased.TRACE_ID_LIMIT


class ChosenIds(RandomIdGenerator):
    """Ids of new traces: random, or the one that the sampler has decided about already."""

    chosen: int | None = None

    def generate_trace_id(self) -> int:
        trace_id, self.chosen = self.chosen, None
        return trace_id or super().generate_trace_id()


class RecordedSpan(Span):
    __slots__ = ("_outer", "_span", "_token")

    is_recorded = True

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def trace(self) -> str:  # type: ignore[override]
        return _traceparent(set_span_in_context(self._span, NEW_TRACE))

    def __enter__(self) -> Self:
        self._token: Token[Context] = contexts.attach(set_span_in_context(self._span))
        self._outer = within_recorded.set(self.is_recorded)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        within_recorded.reset(self._outer)
        contexts.detach(self._token)
        _end(self._span, error, None)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute(ERROR_TYPE, error_type)
        self._span.set_status(StatusCode.ERROR)


class UnrecordedSpan(RecordedSpan):
    """The span of a request whose trace a trusted proxy has not sampled: only its ids are passed on."""

    __slots__ = ()

    is_recorded = False
    trace = ""


class OpenTelemetryTracer:
    """See `core.tracing.spans.Tracer`. The provider's id generator is a ChosenIds."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self.shut_down = provider.shutdown
        self._tracer = provider.get_tracer("smarttrip", version, schema_url=SCHEMA)
        assert isinstance(provider.id_generator, ChosenIds)
        self._ids = provider.id_generator
        self._bound = sampling_bound(provider.sampler)

    def span(self, name: str, attributes: Attributes, kind: Kind) -> Span:
        if not get_current_span().is_recording():
            return NO_SPAN
        return self._start(name, attributes, kind)

    def begin(self, name: str, attributes: Attributes, kind: Kind) -> Span:
        return self._start(name, attributes, kind, NEW_TRACE)

    def follow(self, name: str, traces: Sequence[str], attributes: Attributes, kind: Kind) -> Span:
        parents = [parent for trace in dict.fromkeys(traces) if (parent := _parse(trace)) is not None]
        if not parents:
            return NO_SPAN
        first, *others = parents
        return self._start(name, attributes, kind, first, [_link(context) for context in others])

    def leaves_out_request(self) -> bool:
        """See `core.tracing.spans.Tracer`. At a low rate, these few lines are what tracing costs most requests."""
        if self._bound is None:
            return False
        last_bits = random.getrandbits(64)
        if last_bits >= self._bound:
            return True
        self._ids.chosen = random.getrandbits(64) << 64 | last_bits
        return False

    def begin_request(self, name: str, attributes: Attributes, headers: Mapping[str, str], *, is_trusted: bool) -> Span:
        """See `core.tracing.spans.Tracer`."""
        parent = PROPAGATOR.extract(headers, NEW_TRACE)
        if not _span_context(parent).is_valid:
            return self._start(name, attributes, "server", NEW_TRACE)
        if is_trusted:
            return self._start(name, attributes, "server", parent)
        return self._start(name, attributes, "server", NEW_TRACE, [_link(parent)])

    def record(
        self, name: str, seconds: float, attributes: Attributes, kind: Kind, error: BaseException | None
    ) -> None:
        if get_current_span().is_recording():
            now = time.time_ns()
            span = self._tracer.start_span(
                name, kind=KINDS[kind], attributes=attributes, start_time=now - round(seconds * 1e9)
            )
            _end(span, error, now)

    def trace(self) -> str:
        return _traceparent(contexts.get_current()) if get_current_span().is_recording() else ""

    def outgoing_headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        PROPAGATOR.inject(headers)
        if not headers and (trace_id := _left_out_trace()):
            headers["traceparent"] = f"00-{trace_id:032x}-{_left_out_span(trace_id):016x}-00"
        return headers

    def ids(self) -> Mapping[str, str]:
        span = get_current_span().get_span_context()
        trace_id = span.trace_id or _left_out_trace()
        span_id = span.span_id or _left_out_span(trace_id)
        return {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"} if trace_id else {}

    def _start(
        self,
        name: str,
        attributes: Attributes,
        kind: Kind,
        parent: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        span = self._tracer.start_span(name, parent, KINDS[kind], attributes, links)
        return RecordedSpan(span) if span.is_recording() else UnrecordedSpan(span)


def sampling_bound(sampler: Sampler) -> int | None:
    """Return the bound below which the last 64 bits of the id of a sampled trace are; None if something else decides.

    To compare them takes a twentieth of the time of asking the sampler.
    """
    root = getattr(sampler, "_root", sampler)
    if root in (ALWAYS_OFF, ALWAYS_ON):
        return 0 if root is ALWAYS_OFF else 2**64
    return root.bound if isinstance(root, TraceIdRatioBased) else None


def _left_out_trace() -> int:
    """Return the id of the trace of the current request, of which nothing is recorded; 0 outside of requests.

    Few requests need it, so that it is made when it is first asked for.
    """
    record = record_var.get()
    if record is None:
        return 0
    record.trace_id = record.trace_id or random.getrandbits(128)
    return record.trace_id


def _left_out_span(trace_id: int) -> int:
    """Return the id of the only span of a trace that is left out: the first 64 bits of the trace's are as random."""
    return trace_id >> 64 or 1


def _end(span: OtelSpan, error: BaseException | None, now: int | None) -> None:
    """End the span. Of an error only its type is recorded: its text may have personal data."""
    if error is not None:
        span.set_attribute(ERROR_TYPE, type(error).__qualname__)
    if isinstance(error, Exception):
        span.set_status(StatusCode.ERROR)
    span.end(now)


def _traceparent(context: Context) -> str:
    headers: dict[str, str] = {}
    PROPAGATOR.inject(headers, context)
    return headers.get("traceparent", "")


def _parse(trace: str) -> Context | None:
    context = PROPAGATOR.extract({"traceparent": trace}, NEW_TRACE)
    return context if _span_context(context).is_valid else None


def _span_context(context: Context) -> SpanContext:
    return get_current_span(context).get_span_context()


def _link(context: Context) -> Link:
    return Link(_span_context(context))
