"""The simulation of autoscalers: its rules are those that are documented, and the manifests have its thresholds."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.configuration.roles import Role
from scripts.sizing import figures
from scripts.sizing.autoscaling.fleet import Second, role_service, serve
from scripts.sizing.autoscaling.installations import (
    CPU_PERCENT,
    HUNDRED,
    IN_FLIGHT,
    INSTALLATIONS,
    KUBERNETES_10X,
    KUBERNETES_100X,
    MEMORY_PERCENT,
    RENDER_10X,
    RENDER_100X,
    ROLES,
    TEN,
    Installation,
)
from scripts.sizing.autoscaling.page import blocks
from scripts.sizing.autoscaling.recommendation import recommended_cpu_percent, spikes_within_budget
from scripts.sizing.autoscaling.rules import HorizontalPodAutoscaler, Render, Thresholds
from scripts.sizing.autoscaling.scenarios import cold_start, lost_zone, spike
from scripts.sizing.autoscaling.simulation import simulate
from scripts.sizing.plan import api_cores, make_plan
from tests.docs.documents import ROOT, text
from tests.scripts.kubernetes.conftest import build, of_kind

SERVICE = role_service(HUNDRED, 3, "recommendations")
ONE_CORE = Thresholds(1, 20, cpu_percent=50, memory_percent=90, cores=1.0, memory_mib=1024)


def seconds(ready: int, busy: float, starting: int = 0, count: int = 60) -> list[Second]:
    return [Second(100, ready, starting, 0, 0, 20, busy, 1)] * count


@pytest.mark.parametrize(
    ("ready", "starting", "busy", "wanted"),
    [
        (2, 0, 1.0, 4),
        (3, 0, 0.8, 5),
        (4, 0, 0.54, 4),
        (4, 0, 0.46, 4),
        (1, 0, 1.0, 2),
        # Pods that start count as idle: three times the target in two of four pods asks for six.
        (2, 2, 1.5, 6),
        (2, 2, 1.0, 4),
    ],
)
def test_pods_are_those_of_the_documented_formula(ready: int, starting: int, busy: float, wanted: int) -> None:
    assert HorizontalPodAutoscaler(ONE_CORE).decide(60, seconds(ready, busy, starting)) == wanted


def test_pods_are_at_most_doubled_or_four_more_in_a_round() -> None:
    steep = replace(ONE_CORE, cpu_percent=5)
    assert HorizontalPodAutoscaler(steep).decide(60, seconds(2, 1.0)) == 6
    assert HorizontalPodAutoscaler(steep).decide(60, seconds(6, 1.0)) == 12


def test_pods_are_removed_when_fewer_were_wanted_for_five_minutes() -> None:
    rule = HorizontalPodAutoscaler(ONE_CORE)
    assert rule.decide(60, seconds(4, 0.5)) == 4
    decisions = {at: rule.decide(at, seconds(4, 0.1, count=at)) for at in range(75, 376, 15)}
    assert {at for at, wanted in decisions.items() if wanted != 4} == {360, 375}
    assert decisions[375] == 1


def test_instances_of_render_are_those_of_its_documented_example() -> None:
    """Two instances, busy by 80 % with a target of 60 %, become three."""
    assert Render(replace(ONE_CORE, cpu_percent=60)).decide(60, seconds(2, 0.8)) == 3


@given(st.floats(0, 1e6), st.integers(0, 50), st.integers(0, 50))
def test_no_request_is_lost_and_more_instances_never_refuse_more(requests: float, ready: int, gone: int) -> None:
    served = serve(SERVICE, requests, ready, gone=gone)
    assert -0.001 <= served.refused <= requests * 1.000001
    assert 0 <= served.busy <= 1
    assert serve(SERVICE, requests, ready + 1, gone=gone).refused <= served.refused + requests * 1e-9


@given(st.floats(1, 1e5), st.integers(1, 50))
def test_more_requests_never_take_less_time_until_they_are_refused(requests: float, ready: int) -> None:
    less, more = serve(SERVICE, requests / 2, ready), serve(SERVICE, requests, ready)
    assert more.refused > 0 or more.p95 >= less.p95


def test_zone_that_is_lost_costs_its_share_until_it_is_noticed() -> None:
    searches = KUBERNETES_100X["recommendations"]
    after = simulate(searches, lost_zone(searches.peak, zones=3))
    assert sum(second.refused > 0 for second in after) == figures.NODE_NOTICED_SECONDS
    assert max(second.refused for second in after) == pytest.approx(searches.peak / 3)
    assert after[-1].ready + after[-1].starting < searches.thresholds.most


@pytest.mark.parametrize("installation", INSTALLATIONS, ids=lambda each: each.name)
def test_cold_start_costs_what_arrives_until_the_first_is_ready(installation: Installation) -> None:
    refused = sum(second.refused for second in simulate(installation, cold_start(installation.peak)))
    assert refused == pytest.approx(installation.peak * installation.rule().start_seconds)


@pytest.mark.parametrize("installation", INSTALLATIONS, ids=lambda each: each.name)
def test_cold_start_keeps_the_instances_that_the_load_needs(installation: Installation) -> None:
    running = [second.ready + second.starting for second in simulate(installation, cold_start(installation.peak))]
    assert min(running) == installation.kept(installation.peak)


@pytest.mark.parametrize("installation", KUBERNETES_100X.values(), ids=lambda each: each.name)
def test_spike_brings_all_pods_and_they_go_again(installation: Installation) -> None:
    after = simulate(installation, spike(installation.peak))
    assert max(second.ready for second in after) == installation.thresholds.most
    assert after[-1].ready + after[-1].starting < installation.thresholds.most


@pytest.mark.parametrize("role", ROLES)
def test_processor_target_is_the_proposals_or_a_lower_one_that_is_recommended(role: Role) -> None:
    """At ten times today's load every target is low enough."""
    recommended = recommended_cpu_percent(KUBERNETES_100X[role])
    assert recommended is not None
    assert KUBERNETES_100X[role].thresholds.cpu_percent == min(CPU_PERCENT, recommended)
    assert spikes_within_budget(KUBERNETES_10X[role].with_cpu(90)) == float("inf")


@given(st.floats(0, 1e5))
def test_process_that_is_busier_never_needs_less_in_all(requests: float) -> None:
    for installation in INSTALLATIONS:
        service = installation.service
        assert service.busy(requests) <= service.busy(requests * 1.01) + 1e-9
        planned, saturated = figures.BUSY * 1000 / service.busy_ms, 1000 / service.saturated_ms
        assert service.busy(planned) == pytest.approx(figures.BUSY)
        assert (
            service.busy(saturated) == pytest.approx(service.busy(saturated * 0.999999), abs=1e-4) == pytest.approx(1)
        )


def test_mix_and_costs_are_those_of_the_plan() -> None:
    for installation, load in ((RENDER_10X, TEN), (RENDER_100X, HUNDRED)):
        assert installation.peak == pytest.approx(make_plan(load).requests_per_second)
        assert installation.service.busy_ms * installation.peak / 1000 == pytest.approx(
            sum(api_cores(load).values()), rel=0.011
        )
    for role, installation in KUBERNETES_100X.items():
        assert installation.service.busy_ms * installation.peak / 1000 == pytest.approx(api_cores(HUNDRED)[role])


def test_requests_in_flight_tell_a_saturated_index_from_a_busy_day() -> None:
    """It is saturated by a tenfold load while the cache answers a third of what it answers on other days."""
    searches = KUBERNETES_100X["recommendations"]
    uncached = replace(
        searches, service=role_service(replace(HUNDRED, hit_rate=figures.HIT_RATE / 3), 3, "recommendations")
    )
    at_peak = serve(searches.service, searches.peak, ready=2)
    saturated = max(second.in_flight for second in simulate(uncached, spike(uncached.peak)))
    assert at_peak.in_flight * 10 <= IN_FLIGHT <= saturated / 2


def test_memory_adds_no_instance() -> None:
    for installation in INSTALLATIONS:
        used = figures.API_MIB / installation.thresholds.memory_mib
        assert used < installation.thresholds.memory_percent / 100


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("overlay", "installations"), [("10x", KUBERNETES_10X), ("100x", KUBERNETES_100X)])
def test_pods_have_the_thresholds_of_the_simulation(
    overlay: str, installations: dict[Role, Installation], role: Role
) -> None:
    manifests = build(f"overlays/{overlay}")
    scaler = of_kind(manifests, "HorizontalPodAutoscaler")[f"api-{role}"]["spec"]
    (container,) = of_kind(manifests, "Deployment")[f"api-{role}"]["spec"]["template"]["spec"]["containers"]
    requested = container["resources"]["requests"]
    resources = {metric["resource"]["name"]: metric["resource"]["target"] for metric in scaler["metrics"] if metric["type"] == "Resource"}  # fmt: skip  # noqa: E501
    in_flight = [int(metric["pods"]["target"]["averageValue"]) for metric in scaler["metrics"] if metric["type"] == "Pods"]  # fmt: skip  # noqa: E501
    assert installations[role].thresholds == Thresholds(
        least=scaler["minReplicas"],
        most=scaler["maxReplicas"],
        cpu_percent=resources["cpu"]["averageUtilization"],
        memory_percent=resources["memory"]["averageUtilization"],
        cores=int(requested["cpu"].removesuffix("m")) / 1000,
        memory_mib=int(requested["memory"].removesuffix("Mi")),
        in_flight=in_flight[0] if in_flight else None,
    )
    windows = {way: rule["stabilizationWindowSeconds"] for way, rule in scaler["behavior"].items()}
    assert windows == {"scaleUp": 0, "scaleDown": HorizontalPodAutoscaler.DOWN_SECONDS}


def test_render_has_the_thresholds_of_the_simulation() -> None:
    services = yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
    scaling = next(service["scaling"] for service in services if "scaling" in service)
    thresholds = RENDER_10X.thresholds
    assert (thresholds.least, thresholds.most) == (scaling["minInstances"], scaling["maxInstances"])
    assert (scaling["targetCPUPercent"], scaling["targetMemoryPercent"]) == (CPU_PERCENT, MEMORY_PERCENT)


@pytest.mark.slow
def test_page_shows_the_simulation() -> None:
    page = text("docs/explanation/scaling.md")
    assert [block for block in blocks() if block not in page] == []
