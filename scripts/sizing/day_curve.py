"""The requests of a day, hour by hour, as shares of those at the rate of its peak."""

from math import pi, sin

DAY = 86_400
"""Seconds."""


def share_of_day(second: int) -> float:
    """Return the share of the peak at this time: a tenth at night, the peak at three in the afternoon."""
    hour = second / 3600
    wave = sin(pi * (hour - 6) / 18) if hour > 6 else 0.0
    return 0.1 + 0.9 * wave**2
