"""Recording rules and burn-rate alerts, made from the objectives.

An alert fires while both its windows burn the error budget too fast: the long one shows that it matters, the short one
that it still goes on. Of few events a single bad one would be a large share, therefore the long window has to have
MIN_BAD_EVENTS of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.observability.objectives import (
    GROUPS,
    REQUESTS,
    WINDOW,
    EndpointGroup,
    Kind,
    Objective,
    objectives,
    request_rate,
)

Rule = dict[str, Any]

MIN_BAD_EVENTS = 10
INTERVAL_SECONDS = 30
"""Time between two evaluations, by which sums of rates become numbers of events."""
HOURS = {"5m": 5 / 60, "30m": 0.5, "1h": 1, "2h": 2, "6h": 6, "1d": 24, "3d": 72, WINDOW: 720}


@dataclass(frozen=True)
class BurnRate:
    severity: str
    factor: float
    """Multiple of the rate that would use up the budget exactly by the end of the window."""
    long: str
    short: str


BURN_RATES = (
    BurnRate("page", 14.4, "1h", "5m"),
    BurnRate("page", 6, "6h", "30m"),
    BurnRate("ticket", 3, "1d", "2h"),
    BurnRate("ticket", 1, "3d", "6h"),
)
EFFECTS: dict[Kind, str] = {
    "latency": "Responses are slower than promised",
    "availability": "Requests fail",
    "freshness": "Changes of the catalogue reach searches late",
}


def slo_rules() -> dict[str, Any]:
    """Return the content of the rule file."""
    rules = {
        "requests": [_requests(group) for group in GROUPS],
        "slo-events": [rule for objective in objectives() for rule in _events(objective)],
        "slo-ratios": [*_ratios()],
        "slo-alerts": [_alert(kind, rate) for kind in EFFECTS for rate in BURN_RATES],
    }
    return {"groups": [{"name": name, "interval": f"{INTERVAL_SECONDS}s", "rules": rules[name]} for name in rules]}


def _requests(group: EndpointGroup) -> Rule:
    return {"record": REQUESTS, "labels": {"group": group.name}, "expr": request_rate(group)}


def _events(objective: Objective) -> Iterator[Rule]:
    for record, expression in (
        ("slo:objective:ratio", f"vector({objective.target})"),
        ("slo:events:rate5m", objective.events),
        ("slo:bad_events:rate5m", objective.bad_events),
    ):
        yield {"record": record, "labels": objective.labels, "expr": expression}


def _ratios() -> Iterator[Rule]:
    """Yield the share of bad events in each window, weighted by events; sums of rates keep long windows cheap."""
    for window in HOURS:
        bad, events = (f"sum_over_time(slo:{name}:rate5m[{window}])" for name in ("bad_events", "events"))
        yield {"record": f"slo:error_ratio:rate{window}", "expr": f"{bad} / {events}"}
    remaining = f"1 - slo:error_ratio:rate{WINDOW} / (1 - slo:objective:ratio)"
    yield {"record": f"slo:error_budget_remaining:ratio{WINDOW}", "expr": remaining}


def _alert(kind: Kind, rate: BurnRate) -> Rule:
    selector = f'{{kind="{kind}"}}'
    limit = f"{rate.factor} * (1 - slo:objective:ratio{selector})"
    bad_events = f"{INTERVAL_SECONDS} * sum_over_time(slo:bad_events:rate5m{selector}[{rate.long}])"
    used = rate.factor * HOURS[rate.long] / HOURS[WINDOW]
    return {
        "alert": f"{kind.capitalize()}BudgetBurn",
        "expr": f"slo:error_ratio:rate{rate.long}{selector} > {limit}\n"
        f"and slo:error_ratio:rate{rate.short}{selector} > {limit}\n"
        f"and {bad_events} >= {MIN_BAD_EVENTS}",
        "labels": {"severity": rate.severity, "window": rate.long},
        "annotations": {
            "summary": f"{EFFECTS[kind]}: {{{{ $labels.group }}}}, {{{{ $value | humanizePercentage }}}} "
            f"of the last {rate.long}. That uses {used:.0%} of the error budget of {WINDOW}.",
            "runbook": f"docs/runbooks/{kind}-budget-burn.md",
        },
    }
