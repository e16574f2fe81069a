"""The span of a batch of the outbox: the first of a trace, since who made the changes has none."""

from collections.abc import Collection, Sequence
from time import monotonic

from core.tracing import spans
from core.tracing.spans import NO_SPAN, Attributes, Span
from indexer.index.outbox import LANES, ClaimedRow


def batch_span(rows: Sequence[ClaimedRow], lanes: Collection[int]) -> Span:
    """Return the span of processing these rows. A batch without rows, which is a poll, has none."""
    if spans.tracer is None or not rows:
        return NO_SPAN
    attributes: Attributes = {
        "smarttrip.outbox.lane": ",".join(LANES[lane] for lane in sorted(lanes)),
        "smarttrip.outbox.rows": len(rows),
        "smarttrip.change.age_seconds": oldest_age(rows),
    }
    return spans.begin("process outbox", attributes, "consumer")


def oldest_age(rows: Sequence[ClaimedRow]) -> float:
    """Return the seconds since the oldest of these changes."""
    return round(monotonic() - min(row.changed_at for row in rows), 3)
