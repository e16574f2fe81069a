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
    resources, events = KUBERNETES_100X["resources"], KUBERNETES_100X["events"]
    return [
        plot(events, day(events.peak), 0, 86_400, 7_200),
        plot(resources, spike(resources.peak), 285, 465, 15),
        plot(RENDER_100X, spike(RENDER_100X.peak), 270, 690, 30),
        plot(events, cold_start(events.peak), 0, 45, 5),
        plot(events, lost_zone(events.peak, events.zones), 100, 200, 10),
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
    yield f"| CPU target | {' | '.join(KUBERNETES_100X)} | Render |"
    yield f"|---|{'---|' * (len(KUBERNETES_100X) + 1)}"
    for percent in CANDIDATES:
        cells = [_cost(each.with_cpu(percent)) for each in (*KUBERNETES_100X.values(), RENDER_100X)]
        yield f"| {percent} % | {' | '.join(cells)} |"


def _cost(installation: Installation) -> str:
    refused = refused_by_spike(installation)
    return "0" if refused < 1 else f"{refused:,.0f} ({spikes_within_budget(installation):.1f})"


def start_times() -> Iterator[str]:
    """Yield a table with what a spike costs by the time that a pod takes to start."""
    yield f"| a pod answers after | {' | '.join(KUBERNETES_100X)} |"
    yield f"|---|{'---|' * len(KUBERNETES_100X)}"
    for seconds in START_SECONDS:
        rule = partial(HorizontalPodAutoscaler, start_seconds=seconds)
        refused = [refused_by_spike(replace(each, make_rule=rule)) for each in KUBERNETES_100X.values()]
        yield f"| {seconds} s | {' | '.join(f'{number:,.0f}' for number in refused)} |"


def blocks() -> list[str]:
    """Return every table and plot, as the page has it."""
    return ["\n".join(block) for block in chain([summary(), targets(), start_times()], plots())]


if __name__ == "__main__":
    print("\n\n".join(blocks()))
