"""What a history is made of: who takes part and how often what happens.

Each history draws its own, for much of one thing finds what a little of everything doesn't.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Weather:
    workers: int
    writers: int
    rebuilders: int
    truncating: float
    """Share of the writers' transactions that truncate."""
    deliver: float
    """This and the rest: how often it happens for each hundred times that a process goes on."""
    hold: float
    kill: float
    time_passes: float
    long_time_passes: float


CALM = Weather(
    workers=2,
    writers=1,
    rebuilders=0,
    truncating=0.0,
    deliver=30.0,
    hold=4.0,
    kill=0.0,
    time_passes=0.0,
    long_time_passes=0.0,
)


def draw(random: Random) -> Weather:
    return Weather(
        workers=random.choice((2, 2, 3)),
        writers=random.choice((1, 2)),
        rebuilders=random.choice((0, 1, 2)),
        truncating=random.choice((0.0, 0.05, 0.5)),
        deliver=random.choice((10.0, 30.0)),
        hold=random.choice((1.0, 3.0, 6.0)),
        kill=random.choice((0.0, 0.5, 3.0)),
        time_passes=random.choice((0.0, 1.0, 4.0)),
        long_time_passes=random.choice((0.0, 0.2, 2.0)),
    )
