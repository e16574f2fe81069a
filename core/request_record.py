"""What is recorded of the current request while it is served: where its time went, and what answered it."""

from contextvars import ContextVar

from msgspec import Struct


class RequestRecord(Struct):
    cache: str | None = None
    """Level of the cache that answered; None if no cache was asked."""
    weights: str | None = None
    """Weight set that searches were scored with; None outside of a rollout."""
    variant: str | None = None
    stages: dict[str, float] = {}
    """Seconds by stage. Of stages that ran at the same time each has its whole duration."""
    trace_id: int = 0
    """Id of the request's trace if that is left out and something has asked for its id; else 0."""

    def add(self, stage: str, seconds: float) -> None:
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds


record_var: ContextVar[RequestRecord | None] = ContextVar("request_record", default=None)
"""The record of the current request; None outside of requests. Tasks that a request starts share it."""


def record_cache(level: str) -> None:
    """Record which level of the cache answered the current request; of several lookups the last one counts."""
    record = record_var.get()
    if record is not None:
        record.cache = level
