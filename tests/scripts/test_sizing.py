import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.configuration.roles import ROLES
from scripts.commands.size import plan_lines
from scripts.sizing import figures
from scripts.sizing.plan import Load, Part, Plan, make_plan
from scripts.sizing.prices import PRICES
from tests.docs.documents import ROOT, table, text

SMALL, TEN, HUNDRED = (Load(users, 100_000, figures.HIT_RATE, 3.0) for users in (100, 1_000, 10_000))
OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
LOADS = st.builds(
    Load,
    st.integers(1, 10_000_000),
    st.integers(1, 10_000_000),
    st.floats(0, 1),
    st.floats(0.1, 100),
)


def parts(plan: Plan) -> dict[str, Part]:
    return {part.name: part for part in plan.parts}


def processes(plan: Plan) -> int:
    return sum(part.instances for part in plan.parts if part.name in {*ROLES, "api", "worker"})


def test_requests_are_those_of_the_proposal() -> None:
    """500 to 1,000 users are 100 to 200 requests a second, and ten times as many at 100x."""
    assert [make_plan(load).requests_per_second for load in (TEN, HUNDRED)] == [200, 2_000]


@given(LOADS)
def test_processors_are_busy_by_at_most_the_share_that_is_planned(load: Load) -> None:
    plan = make_plan(load)
    for part in plan.parts:
        available = part.instances * (figures.CORES_OF_NODE if part.name == "elasticsearch" else 1)
        if part.name not in {"redis", "postgres", "admin"}:
            assert part.cores <= available * figures.BUSY + 0.001, part
    assert plan.dollars_per_month == pytest.approx(sum(part.dollars for part in plan.parts))


@given(LOADS, st.integers(2, 10))
def test_more_users_or_departures_never_need_less(load: Load, times: int) -> None:
    now = make_plan(load)
    for larger in (replace(load, users=load.users * times), replace(load, departures=load.departures * times)):
        plan = make_plan(larger)
        assert plan.dollars_per_month >= now.dollars_per_month
        assert sum(part.cores for part in plan.parts) >= sum(part.cores for part in now.parts) - 0.01


def test_cost_of_a_search_is_as_measured_at_the_measured_sizes_and_between_them_in_between() -> None:
    for measured in figures.UNCACHED:
        assert figures.uncached(measured.departures) == pytest.approx(measured)
    assert 3.9 < figures.uncached(500_000).elasticsearch < 29
    assert figures.uncached(3_000_000).elasticsearch == 87


def test_figures_are_those_of_the_page_that_has_measured_them() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| [\d,]+, \d[\d.]* \| ([\d.]+) \| ([\d.]+) \|", text("docs/explanation/performance.md"), re.MULTILINE)  # fmt: skip  # noqa: E501
    documented = [(int(size.replace(",", "")), float(api), float(index)) for size, api, index in rows]
    assert documented == [tuple(cost) for cost in figures.UNCACHED]


def test_costs_of_requests_are_those_of_the_replayed_day() -> None:
    rows = {row[0]: row[1:] for row in table("docs/explanation/scaling.md", "### What a request costs")}
    for name, cost in [*((kind.name, kind.cost) for kind in figures.KINDS), ("idle, cores", figures.IDLE)]:
        api, worker, postgres, _, redis = (float(cell or 0) for cell in rows[name])
        assert (api, worker, postgres, redis) == cost
    shares = sum(kind.share for kind in figures.KINDS if kind != figures.UNCACHED_SEARCH)
    assert shares == pytest.approx(1, abs=0.011)


@given(LOADS)
def test_every_request_is_planned_for(load: Load) -> None:
    rates = sum(load.rate(kind) for kind in figures.KINDS)
    assert rates == pytest.approx(load.requests, rel=0.011)


def test_price_of_ones_own_replaces_the_proposals() -> None:
    cheaper = make_plan(TEN, {**PRICES, "instance": 5})
    assert make_plan(TEN).dollars_per_month - cheaper.dollars_per_month == 20 * processes(cheaper)


@pytest.mark.parametrize("load", [SMALL, TEN, HUNDRED], ids=lambda load: f"{load.users}")
def test_page_shows_the_plans(load: Load) -> None:
    assert "\n".join(plan_lines(make_plan(load))) in text("docs/explanation/scaling.md")


@pytest.mark.parametrize(("overlay", "load"), [("small", SMALL), ("10x", TEN), ("100x", HUNDRED)])
def test_autoscalers_may_start_what_is_planned(overlay: str, load: Load) -> None:
    patches = yaml.safe_load((OVERLAYS / overlay / "kustomization.yaml").read_text())["patches"]
    default = yaml.safe_load((Path(OVERLAYS).parent / "api" / "autoscaler.yaml").read_text())["spec"]
    for role in ROLES:
        planned = parts(make_plan(load)).get(role)
        most = default["maxReplicas"]
        for patch in patches:
            if patch["target"]["kind"] == "HorizontalPodAutoscaler" and re.fullmatch(patch["target"]["name"], f"api-{role}"):  # fmt: skip  # noqa: E501
                steps = yaml.safe_load(patch["patch"])
                most = max((step["value"] for step in steps if step["path"] == "/spec/maxReplicas"), default=most)
        assert most >= (planned.instances if planned else 1)


def test_alert_fires_above_what_is_planned_for_the_largest_load() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "alerts" / "api.rules.yml").read_text()
    assert f'count(up{{job=~"smarttrip-.+"}} == 1) > {processes(make_plan(HUNDRED))}\n' in rules
