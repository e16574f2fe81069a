"""Write the files that are made from code: `make generate`."""

from collections.abc import Iterable, Sequence

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability import NOTICE
from scripts.observability.alerts import ROOT, Alert, alerts
from scripts.observability.dashboards.dependencies import dependencies
from scripts.observability.dashboards.events import events
from scripts.observability.dashboards.index_and_worker import index_and_worker
from scripts.observability.dashboards.recommendations import recommendations
from scripts.observability.dashboards.service import service_overview
from scripts.observability.objectives import WINDOW, Objective, objectives
from scripts.observability.slo_rules import slo_rules

BEGIN, END = f"<!-- {NOTICE} -->\n", "<!-- end -->\n"


def generated_files() -> dict[str, str]:
    """Return the content of each generated file, by its path in the repository."""
    return {
        "deploy/prometheus/slo.rules.yml": f"# {NOTICE}\n{_to_yaml(slo_rules())}",
        **{f"deploy/grafana/dashboards/{page.uid}.json": _to_json(page) for page in dashboards()},
        **_with_table("docs/reference/slo.md", SLO_COLUMNS, map(_slo_row, objectives())),
        **_with_table("docs/runbooks/README.md", ALERT_COLUMNS, map(_alert_row, alerts())),
    }


def dashboards() -> list[Dashboard]:
    return [service_overview(), recommendations(), index_and_worker(), events(), dependencies()]


SLO_COLUMNS = ("group", "kind", "promise", "share of events", "window")
ALERT_COLUMNS = ("alert", "severity", "runbook")


def _slo_row(objective: Objective) -> Sequence[str]:
    return objective.group, objective.kind, objective.promise, f"{objective.target:.4g}", WINDOW


def _alert_row(alert: Alert) -> Sequence[str]:
    title = alert.runbook.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return f"`{alert.name}`", " or ".join(alert.severities), f"[{title}]({alert.runbook.name})"


def _with_table(page: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the page with its generated part replaced by a table, by its path."""
    before, _, rest = (ROOT / page).read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [f"| {' | '.join(cells)} |\n" for cells in (columns, *rows)]
    lines.insert(1, "|---" * len(columns) + "|\n")
    return {page: before + BEGIN + "".join(lines) + END + after}


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as blocks."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _to_yaml(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=10_000)


def _to_json(page: Dashboard) -> str:
    return JSONEncoder(sort_keys=True, indent=1).encode(page) + "\n"


def main() -> None:
    for path, content in generated_files().items():
        (ROOT / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
