"""The kinds of panels, and the page that holds them."""

from collections.abc import Iterable, Mapping
from string import ascii_uppercase

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DataSourceRef,
    Panel,
    Threshold,
    ThresholdsMode,
)

from scripts.observability import NOTICE

DATASOURCE = "smarttrip-prometheus"
"""Identifier of the data source that deploy/grafana/provisioning declares."""

WIDTH, HEIGHT = 8, 7

BREAKER_STATES = "0 closed, 1 half-open, 2 open"
"""Description of a panel of circuit breakers."""

Queries = Mapping[str, str]
"""PromQL by legend; a legend may name labels: `{{route}}`."""

Row = tuple[str, Iterable[Builder[Panel]]]


def page(uid: str, title: str, rows: Iterable[Row]) -> Dashboard:
    """Return a dashboard of rows with panels side by side."""
    builder = dashboard.Dashboard(title).uid(uid).description(NOTICE).tags(["smarttrip"]).readonly()
    builder.refresh("30s").time("now-3h", "now")
    for name, panels in rows:
        builder.with_row(dashboard.Row(name))
        for panel in panels:
            builder.with_panel(panel)
    built = builder.build()
    for panel_id, placed in enumerate(built.panels or [], 1):
        placed.id_val = panel_id
    return built


def chart(title: str, unit: str, queries: Queries, description: str = "") -> timeseries.Panel:
    """Return a panel of lines over time."""
    legend = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = timeseries.Panel().title(title).unit(unit).min(0).legend(legend).span(WIDTH).height(HEIGHT)
    for index, (name, query) in enumerate(queries.items()):
        panel.with_target(_target(name, query, index))
    return panel.description(description).datasource(_datasource())


def number(
    title: str, unit: str, query: str, *, legend: str = "", limits: Mapping[float, str] | None = None
) -> stat.Panel:
    """Return a panel of the latest values; `limits` are colours by the value from which they count."""
    panel = stat.Panel().title(title).unit(unit).span(WIDTH).height(HEIGHT).with_target(_target(legend, query))
    if limits:
        steps = [Threshold(value=None if bound == float("-inf") else bound, color=limits[bound]) for bound in limits]
        panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    return panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"])).datasource(_datasource())


def percentiles(histogram: str, selector: str = "") -> Queries:
    """Return the percentiles of a histogram, in its unit."""
    rate = f"sum by (le) (rate({histogram}_bucket{selector}[5m]))"
    return {f"p{share * 100:g}": f"histogram_quantile({share}, {rate})" for share in (0.5, 0.95, 0.99)}


def _target(legend: str, query: str, index: int = 0) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query).legend_format(legend).ref_id(ascii_uppercase[index])


def _datasource() -> DataSourceRef:
    return DataSourceRef(type_val="prometheus", uid=DATASOURCE)
