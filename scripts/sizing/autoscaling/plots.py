"""Plots in plain text, for docs/explanation/scaling.md: a row for each interval, bars for load and instances."""

from collections.abc import Sequence
from typing import Literal

from scripts.sizing.autoscaling.fleet import Second
from scripts.sizing.autoscaling.installations import Installation
from scripts.sizing.autoscaling.scenarios import Scenario
from scripts.sizing.autoscaling.simulation import simulate

BAR = 20
HEADER = (
    f"{'time':>6} {'requests/s':>10} {'':<{BAR}} {'ready':>5} {'':<10} {'refused':>8} {'unranked':>9} {'p95 ms':>7}"
)


def plot(installation: Installation, scenario: Scenario, begin: int, end: int, step: int) -> list[str]:
    """Return the seconds from `begin` to `end` in rows of `step` seconds, each with its worst.

    Times are minutes and seconds, of a day hours and minutes.
    """
    seconds = simulate(installation, scenario)
    highest = max(second.requests for second in seconds)
    title = f"{installation.name}, {scenario.name}"
    return [
        "```text",
        title,
        "",
        HEADER,
        *(_row(at, seconds[at : at + step], highest) for at in range(begin, end, step)),
        "```",
    ]


def _row(at: int, seconds: Sequence[Second], highest: float) -> str:
    requests = max(second.requests for second in seconds)
    ready = min(second.ready for second in seconds)
    refused, unranked = share(seconds, "refused"), share(seconds, "unranked")
    load = "#" * round(BAR * requests / highest)
    unit = 3600 if len(seconds) >= 3600 else 60
    return (
        f"{at // unit:>3}:{at * 60 // unit % 60:02} {requests:>10,.0f} {load:<{BAR}} {ready:>5} {'=' * ready:<10}"
        f" {refused:>8.2%} {unranked:>9.2%} {max(second.p95 for second in seconds):>7.0f}"
    )


def share(seconds: Sequence[Second], what: Literal["refused", "unranked"]) -> float:
    """Return the part of the requests that were refused or not ranked."""
    counted = sum(second.refused if what == "refused" else second.unranked for second in seconds)
    return counted / sum(second.requests for second in seconds)
