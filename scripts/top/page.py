"""The page that the terminal shows."""

from collections.abc import Mapping
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

MOST_ROUTES = 12


def render(summary: Mapping[str, Any]) -> RenderableType:
    """Return tables of requests, and of everything else side by side."""
    names = ("api", "cache_lookups", "breakers", "index", "events", "processes")
    failures = [Text(f"{address}: {reason}", style="red") for address, reason in summary["failures"].items()]
    tables = [_pairs(name.replace("_", " "), summary[name]) for name in names]
    return Group(*failures, _requests(summary["requests"]), Columns(tables))


def _requests(requests: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(
        "route",
        *(Column(name, justify="right") for name in ("per second", "5xx", "p50 ms", "p95 ms", "p99 ms")),
        title="requests",
    )
    for route, values in list(requests.items())[:MOST_ROUTES]:
        times = (values[name] for name in ("p50", "p95", "p99"))
        style = "red" if values["failures"] else ""
        table.add_row(
            route, _number(values["rate"]), _number(values["failures"]), *map(_milliseconds, times), style=style
        )
    return table


def _pairs(title: str, values: Mapping[str, Any]) -> Table:
    table = Table(title=title, show_header=False)
    for name, value in values.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, number in inner:
            alarming = number == "open"
            table.add_row(f"{name.replace('_', ' ')} {part}".strip(), _number(number), style="red" if alarming else "")
    return table


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"≤ {seconds * 1000:g}"


def _number(value: float | str | None) -> str:
    """Return a number that is short to read: 1234567 is 1.2 M."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= factor:
            return f"{value / (1000 if unit == ' k' else factor):.1f}{unit}"
    return f"{value:.1f}" if value % 1 else f"{value:.0f}"
