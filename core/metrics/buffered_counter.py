"""Counters of what every request does: plain numbers, added to the metrics when these are reported.

A counter of the client library costs ten times as much.
"""

from prometheus_client import Counter

_counters: list["BufferedCounter"] = []


class BufferedCounter:
    """One series of a counter. It exists as long as the process does."""

    __slots__ = ("_series", "count")

    def __init__(self, series: Counter) -> None:
        self._series = series
        self.count = 0
        """Events since the last report; whoever counts one adds 1."""
        _counters.append(self)

    def report(self) -> None:
        count, self.count = self.count, 0
        if count:
            self._series.inc(count)


def report_counters() -> None:
    """Add what was counted since the last call to the metrics."""
    for counter in _counters:
        counter.report()
