from prometheus_client import CollectorRegistry, Counter

from core.metrics.buffered_counter import BufferedCounter, report_counters


def test_counted_events_are_added_once() -> None:
    registry = CollectorRegistry()
    series = Counter("things_total", "Things", ["kind"], registry=registry).labels("small")
    counter = BufferedCounter(series)

    def reported() -> float | None:
        report_counters()
        return registry.get_sample_value("things_total", {"kind": "small"})

    assert reported() == 0
    counter.count += 1
    counter.count += 1
    assert reported() == 2
    assert reported() == 2
    counter.count += 1
    assert reported() == 3
