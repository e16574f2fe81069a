"""Stages of a search, which no other server takes part in."""

from time import perf_counter
from types import TracebackType
from typing import Literal, get_args

from prometheus_client import Summary

from core.metrics.labels import with_values
from core.request_record import record_var
from core.tracing import spans

StageName = Literal["scoring", "serialize"]

SECONDS = with_values(
    Summary("smarttrip_search_stage_seconds", "Time of the stages of searches that no cache answered", ["stage"]),
    get_args(StageName),
)
_summaries = {name: SECONDS.labels(name) for name in get_args(StageName)}


class Stage:
    """A block whose duration counts as a stage of the current request, and that has a span."""

    __slots__ = ("_name", "_started_at")

    def __init__(self, name: StageName) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._started_at = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started_at
        _summaries[self._name].observe(seconds)
        record = record_var.get()
        if record is not None:
            record.add(self._name, seconds)
        spans.record(self._name, seconds, error=error)
