"""Which CPU target the simulation recommends: the highest, which starts the fewest pods, that keeps the budget."""

from scripts.observability.objectives import AVAILABILITY
from scripts.sizing.autoscaling.installations import Installation
from scripts.sizing.autoscaling.rules import HorizontalPodAutoscaler
from scripts.sizing.autoscaling.scenarios import spike
from scripts.sizing.autoscaling.simulation import simulate
from scripts.sizing.day_curve import AVERAGE_OF_PEAK
from scripts.sizing.plan import SECONDS_OF_MONTH

CANDIDATES = (50, 60, 70, 80, 90)
"""Percent of the requested CPU."""
SPIKES_A_MONTH = 30 / 7 * 3
"""Three a week, each ten times the peak within a minute."""


def refused_by_spike(installation: Installation) -> float:
    """Return the requests that a spike costs, if it begins in the worst second of the autoscaler's rounds."""
    return max(
        sum(second.refused for second in simulate(installation, spike(installation.peak, phase)))
        for phase in range(HorizontalPodAutoscaler.SYNC_SECONDS)
    )


def spikes_within_budget(installation: Installation) -> float:
    """Return how many spikes a month may bring before they alone have used up the error budget of its requests."""
    month = installation.peak * AVERAGE_OF_PEAK * SECONDS_OF_MONTH
    refused = refused_by_spike(installation)
    return month * (1 - AVAILABILITY) / refused if refused >= 1 else float("inf")


def recommended_cpu_percent(installation: Installation) -> int | None:
    """Return the highest candidate that stands SPIKES_A_MONTH; None if none does."""
    enough = [
        percent for percent in CANDIDATES if spikes_within_budget(installation.with_cpu(percent)) >= SPIKES_A_MONTH
    ]
    return max(enough, default=None)
