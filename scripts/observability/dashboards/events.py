"""Events and stream: from the API through Redis into Postgres."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability.dashboards.panels import chart, page, percentiles
from scripts.observability.objectives import EVENTS

LATENCY = "smarttrip_http_request_seconds"


def events() -> Dashboard:
    return page(
        "smarttrip-events",
        "SmartTrip: events and stream",
        [
            (
                "Requests",
                [
                    chart(
                        "Requests by route",
                        "reqps",
                        {"{{route}}": f"sum by (route) (rate({LATENCY}_count{EVENTS.selector}[5m]))"},
                    ),
                    chart("Latency", "s", percentiles(LATENCY, EVENTS.selector)),
                    chart(
                        "Rejected, full stream",
                        "ops",
                        {"{{kind}}": "sum by (kind) (rate(smarttrip_tracking_refused_total[5m]))"},
                    ),
                ],
            ),
            (
                "Stream",
                [
                    chart("Entries that wait", "short", {"entries": "max(smarttrip_tracking_stream_entries)"}),
                    chart("Oldest entry", "s", {"seconds": "max(smarttrip_tracking_stream_oldest_seconds)"}),
                    chart("Stored", "ops", {"entries": "sum(rate(smarttrip_tracking_stored_total[5m]))"}),
                    chart("Written directly, without Redis", "ops", {"{{kind}}": DIRECT}),
                ],
            ),
            (
                "Failures",
                [
                    chart(
                        "Batches not stored yet",
                        "ops",
                        {"{{error}}": "sum by (error) (rate(smarttrip_tracking_failures_total[5m]))"},
                    ),
                    chart(
                        "Dead-lettered in an hour",
                        "short",
                        {"entries": "sum(increase(smarttrip_tracking_set_aside_total[1h]))"},
                    ),
                    chart("Lost and protected in an hour", "short", LOST),
                ],
            ),
        ],
    )


DIRECT = "sum by (kind) (rate(smarttrip_tracking_direct_total[5m]))"
LOST = {
    "request logs lost": "sum(increase(smarttrip_tracking_lost_total[1h]))",
    "rows protected": "sum(increase(smarttrip_tracking_rows_protected_total[1h]))",
}
