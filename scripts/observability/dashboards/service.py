"""Service overview: objectives, golden signals, saturation."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability.dashboards.panels import Row, chart, number, page, percentiles
from scripts.observability.objectives import REQUESTS, WINDOW

BUDGET_COLOURS = {float("-inf"): "red", 0.0: "orange", 0.25: "green"}
LATENCY = "smarttrip_http_request_seconds"


def service_overview() -> Dashboard:
    return page(
        "smarttrip-service",
        "SmartTrip: service overview",
        [_objectives(), _golden_signals(), _saturation(), _event_loop()],
    )


def _objectives() -> Row:
    budget = f"slo:error_budget_remaining:ratio{WINDOW}"
    return (
        "Objectives",
        [
            number("Error budget left", "percentunit", budget, legend="{{group}} {{kind}}", limits=BUDGET_COLOURS),
            chart(f"Error budget left of {WINDOW}", "percentunit", {"{{group}} {{kind}}": budget}),
            chart("Burn rate over an hour", "none", {"{{group}} {{kind}}": BURN}, "1 uses up the budget exactly."),
        ],
    )


def _golden_signals() -> Row:
    return (
        "Golden signals",
        [
            chart("Requests", "reqps", {"{{group}}": f'sum by (group) ({REQUESTS}{{le="+Inf"}})'}),
            chart(
                "95th percentile by group",
                "s",
                {"{{group}}": f"histogram_quantile(0.95, sum by (group, le) ({REQUESTS}))"},
            ),
            chart("Latency of all requests", "s", percentiles(LATENCY)),
            chart("Requests by status", "reqps", {"{{status}}": f"sum by (status) (rate({LATENCY}_count[5m]))"}),
            chart("Failures by route", "reqps", {"{{route}} {{status}}": FAILURES}),
            chart("Slowest routes", "s", {"{{route}}": SLOWEST}),
        ],
    )


def _saturation() -> Row:
    return (
        "Saturation",
        [
            chart("Requests in flight", "short", {"in flight": "sum(smarttrip_http_requests_in_flight)"}),
            chart("Rejected", "reqps", REJECTED),
            chart(
                "CPU by process",
                "percentunit",
                {"{{job}} {{instance}} {{pid}}": "rate(process_cpu_seconds_total[5m])"},
            ),
            chart("Memory by process", "bytes", {"{{job}} {{instance}} {{pid}}": "process_resident_memory_bytes"}),
            chart("Open files by process", "short", {"{{job}} {{instance}} {{pid}}": "process_open_fds"}),
            chart("Traffic", "Bps", TRAFFIC),
            chart(
                "Limits of load shedding",
                "short",
                {"requests": "sum(smarttrip_admission_limit)", "searches": "sum(smarttrip_search_limit)"},
            ),
        ],
    )


def _event_loop() -> Row:
    return (
        "Event loop and garbage collector",
        [
            chart("Lag of the event loop", "s", percentiles("smarttrip_event_loop_lag_seconds")),
            chart(
                "Longest lag in a minute, by process",
                "s",
                {"{{job}} {{instance}} {{pid}}": "smarttrip_process_event_loop_lag_seconds"},
            ),
            chart(
                "Share of time that the collector stops a process",
                "percentunit",
                {"{{job}} {{instance}} {{pid}}": "deriv(smarttrip_process_gc_pause_seconds[5m])"},
            ),
            chart(
                "Share of time that each generation stops the processes",
                "percentunit",
                {"{{generation}}": "sum by (generation) (rate(smarttrip_gc_pause_seconds_total[5m]))"},
            ),
            chart(
                "Collections by generation",
                "ops",
                {"{{generation}}": "sum by (generation) (rate(smarttrip_gc_collections_total[5m]))"},
            ),
            chart("Rate-limit decisions", "reqps", {"{{group}} {{decision}}": DECISIONS}),
            chart(
                "Rate limits in force",
                "short",
                {"{{group}} in {{window}} s": "max by (group, window) (smarttrip_rate_limit_requests)"},
            ),
            chart("Requests without a line in the log", "reqps", {"{{reason}}": OMITTED}),
            chart("Spans", "ops", {"{{outcome}}": "sum by (outcome) (rate(smarttrip_spans_total[5m]))"}),
        ],
    )


BURN = "slo:error_ratio:rate1h / (1 - slo:objective:ratio)"
FAILURES = f'sum by (route, status) (rate({LATENCY}_count{{status=~"5.."}}[5m])) or 0 * sum(rate({LATENCY}_count[5m]))'
SLOWEST = f"topk(10, histogram_quantile(0.95, sum by (route, le) (rate({LATENCY}_bucket[5m]))))"
REJECTED = {
    "shed": "sum(rate(smarttrip_http_requests_shed_total[5m]))",
    "rate limit": "sum(rate(smarttrip_rate_limit_refusals_total[5m]))",
    "slow client": "sum(rate(smarttrip_http_slow_clients_total[5m]))",
    "idle connection": "sum(rate(smarttrip_http_idle_connections_closed_total[5m]))",
}
DECISIONS = "sum by (group, decision) (rate(smarttrip_rate_limit_decisions_total[5m]))"
OMITTED = "sum by (reason) (rate(smarttrip_access_lines_omitted_total[5m]))"
TRAFFIC = {
    "received": "sum(rate(smarttrip_http_request_bytes_total[5m]))",
    "sent": "sum(rate(smarttrip_http_response_bytes_total[5m]))",
}
