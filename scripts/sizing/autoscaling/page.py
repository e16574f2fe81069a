"""Tables and plots of docs/explanation/scaling.md; `python -m scripts.sizing.autoscaling.page` prints them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from scripts.sizing.autoscaling.installations import INSTALLATIONS, KUBERNETES_100X, RENDER_100X, Installation
from scripts.sizing.autoscaling.plots import plot, share
from scripts.sizing.autoscaling.recommendation import CANDIDATES, refused_by_spike, spikes_within_budget
from scripts.sizing.autoscaling.rules import HorizontalPodAutoscaler
from scripts.sizing.autoscaling.scenarios import Scenario, cold_start, day, lost_zone, spike
from scripts.sizing.autoscaling.simulation import simulate

START_SECONDS = (10, 30, 60, 120)


def plots() -> list[list[str]]:
    """Return each plot as lines."""
    peak = KUBERNETES_100X.peak
    return [
        plot(KUBERNETES_100X, day(peak), 0, 86_400, 7_200),
        plot(KUBERNETES_100X, spike(peak), 285, 465, 15),
        plot(RENDER_100X, spike(RENDER_100X.peak), 270, 690, 30),
        plot(KUBERNETES_100X, cold_start(peak), 0, 45, 5),
        plot(KUBERNETES_100X, lost_zone(peak, KUBERNETES_100X.zones), 100, 200, 10),
    ]


def scenarios(installation: Installation) -> Sequence[Scenario]:
    peak = installation.peak
    return day(peak), spike(peak), cold_start(peak), lost_zone(peak, installation.zones)


def summary() -> Iterator[str]:
    """Yield a table with a row for each installation and scenario."""
    yield "| installation | scenario | instances | refused | during | unranked | p95 ms | instance hours |"
    yield "|---|---|---|---|---|---|---|---|"
    for installation in INSTALLATIONS:
        for scenario in scenarios(installation):
            seconds = simulate(installation, scenario)
            running = [second.ready + second.starting for second in seconds]
            yield (
                f"| {installation.name} | {scenario.name} | {min(running)} to {max(running)}"
                f" | {share(seconds, 'refused'):.2%} | {sum(second.refused >= 0.5 for second in seconds)} s"
                f" | {share(seconds, 'unranked'):.1%} | {max(second.p95 for second in seconds):.0f}"
                f" | {sum(running) / 3600:.1f} |"
            )


def targets() -> Iterator[str]:
    """Yield a table with what a spike costs by CPU target."""
    yield "| CPU target | refused of a spike, Kubernetes 100x | spikes a month within 99.9 % | refused, Render 100x |"
    yield "|---|---|---|---|"
    for percent in CANDIDATES:
        pods, instances = KUBERNETES_100X.with_cpu(percent), RENDER_100X.with_cpu(percent)
        yield (
            f"| {percent} % | {refused_by_spike(pods):,.0f} | {spikes_within_budget(pods):.1f}"
            f" | {refused_by_spike(instances):,.0f} |"
        )


def start_times() -> Iterator[str]:
    """Yield a table with what a spike costs by the time that a pod takes to start."""
    yield "| a pod answers after | refused of a spike, 100x on Kubernetes |"
    yield "|---|---|"
    for seconds in START_SECONDS:
        slow = replace(KUBERNETES_100X, make_rule=partial(HorizontalPodAutoscaler, start_seconds=seconds))
        yield f"| {seconds} s | {refused_by_spike(slow):,.0f} |"


def blocks() -> list[str]:
    """Return every table and plot, as the page has it."""
    return ["\n".join(block) for block in chain([summary(), targets(), start_times()], plots())]


if __name__ == "__main__":
    print("\n\n".join(blocks()))
