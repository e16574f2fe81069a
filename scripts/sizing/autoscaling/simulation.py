"""Seconds of an installation whose autoscaler follows the load."""

from collections.abc import Sequence

from scripts.sizing.autoscaling.fleet import Second, serve
from scripts.sizing.autoscaling.installations import Installation
from scripts.sizing.autoscaling.scenarios import Scenario


def simulate(installation: Installation, scenario: Scenario) -> Sequence[Second]:
    """Return the outcome of each second, beginning with the instances that are kept at the first one's load."""
    rule = installation.rule()
    ready_at = [rule.start_seconds if scenario.is_cold else 0] * installation.kept(scenario.share(0) * scenario.peak)
    past: list[Second] = []
    # Instances that have ended and still count, and those of them that are still sent requests.
    lost = gone = 0
    for at in range(scenario.seconds):
        if at == scenario.lost_at:
            lost = gone = -(-len(ready_at) // scenario.zones)
            del ready_at[:lost]
        if at == scenario.noticed_at:
            gone = 0
        if at == scenario.replaced_at:
            ready_at += [at + rule.start_seconds] * lost
            lost = 0
        ready = sum(moment <= at for moment in ready_at)
        requests = scenario.share(at) * scenario.peak
        past.append(serve(installation.service, requests, ready, len(ready_at) - ready + lost, gone))
        wanted = rule.decide(at, past)
        if wanted is not None:
            _scale(ready_at, wanted - lost, at + rule.start_seconds)
    return past


def _scale(ready_at: list[int], wanted: int, moment: int) -> None:
    """Start what lacks, ready at the moment, or end what is too much, the youngest first."""
    ready_at.sort()
    del ready_at[wanted:]
    ready_at += [moment] * (wanted - len(ready_at))
