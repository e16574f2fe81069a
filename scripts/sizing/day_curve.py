"""The requests of a day, hour by hour, as shares of those at the rate of its peak."""

from math import pi, sin
from statistics import mean

DAY = 86_400
"""Seconds."""


def share_of_day(second: int) -> float:
    """Return the share of the peak at this time: a tenth at night, the peak at three in the afternoon."""
    hour = second / 3600
    wave = sin(pi * (hour - 6) / 18) if hour > 6 else 0.0
    return 0.1 + 0.9 * wave**2


AVERAGE_OF_PEAK = mean(share_of_day(second) for second in range(0, DAY, 600))
"""Requests of a whole day as a share of those at the peak's rate."""
