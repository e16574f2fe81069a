"""Scenarios of an installation: a day, a spike, a cold start, a lost zone."""

from collections.abc import Callable
from dataclasses import dataclass

from scripts.sizing import figures
from scripts.sizing.day_curve import DAY, share_of_day

RISE_SECONDS = 60
HELD_SECONDS = 900
TIMES = 10


@dataclass(frozen=True)
class Scenario:
    name: str
    seconds: int
    peak: float
    """Requests a second that the installation is planned for."""
    share: Callable[[int], float]
    """Of the peak, in each second."""
    is_cold: bool = False
    """Whether no instance runs at the beginning."""
    lost_at: int | None = None
    """Second in which the instances of a zone, or one of two, are gone without a word."""
    noticed_at: int | None = None
    """Second from which they are sent nothing."""
    replaced_at: int | None = None
    """Second in which others start in their place."""
    zones: int = 3


def day(peak: float) -> Scenario:
    return Scenario("a day", DAY, peak, share_of_day)


def spike(peak: float, phase: int = 0) -> Scenario:
    """Return ten times the peak, reached within a minute and held for a quarter of an hour.

    `phase` is the second in which it begins within the autoscaler's rounds.
    """
    begin = 300 + phase

    def share(second: int) -> float:
        if not begin <= second < begin + RISE_SECONDS + HELD_SECONDS:
            return 1.0
        return min(1 + (TIMES - 1) * (second - begin) / RISE_SECONDS, TIMES)

    return Scenario("ten times the load within a minute", 1800, peak, share)


def cold_start(peak: float) -> Scenario:
    return Scenario("a cold start", 300, peak, lambda second: 1.0, is_cold=True)


def lost_zone(peak: float, zones: int) -> Scenario:
    lost = 120
    noticed = lost + figures.NODE_NOTICED_SECONDS
    replaced = noticed + figures.EVICTION_SECONDS
    return Scenario(
        "a lost zone",
        600,
        peak,
        lambda second: 1.0,
        lost_at=lost,
        noticed_at=noticed,
        replaced_at=replaced,
        zones=zones,
    )
