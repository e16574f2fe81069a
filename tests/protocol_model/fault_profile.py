"""Processes of a schedule, and how often each event happens.

Each schedule draws a profile of its own, because many events of one kind find what a few of every kind do not.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class FaultProfile:
    workers: int
    writers: int
    rebuilders: int
    truncate_share: float
    """Share of the writers' transactions that truncate the table."""
    deliver: float
    """This and the following: events for each hundred steps of processes."""
    hold: float
    kill: float
    short_delay: float
    long_delay: float


BASELINE = FaultProfile(
    workers=2,
    writers=1,
    rebuilders=0,
    truncate_share=0.0,
    deliver=30.0,
    hold=4.0,
    kill=0.0,
    short_delay=0.0,
    long_delay=0.0,
)


def random_profile(random: Random) -> FaultProfile:
    return FaultProfile(
        workers=random.choice((2, 2, 3)),
        writers=random.choice((1, 2)),
        rebuilders=random.choice((0, 1, 2)),
        truncate_share=random.choice((0.0, 0.05, 0.5)),
        deliver=random.choice((10.0, 30.0)),
        hold=random.choice((1.0, 3.0, 6.0)),
        kill=random.choice((0.0, 0.5, 3.0)),
        short_delay=random.choice((0.0, 1.0, 4.0)),
        long_delay=random.choice((0.0, 0.2, 2.0)),
    )
