"""How much a consumer takes at once: more while changes pile up, as long as its batches stay short."""

from dataclasses import dataclass, replace

from indexer.index.outbox import FANNED_OUT, BatchLimits

SHORT_SECONDS, LONG_SECONDS = 0.2, 0.4
"""Durations of a full batch after which the next one takes more, or less: a single change may have to wait for one."""
LARGEST_FACTOR = 4
"""How many times its limits a batch takes at most: what it reads and writes is in memory at once."""


@dataclass
class BatchSize:
    """The size of a lane's batches of departures, adapted to what they take."""

    lane: int
    usual: BatchLimits
    factor: int = 1

    @property
    def limits(self) -> BatchLimits:
        """Limits of the next batch."""
        usual = self.usual
        if self.lane == FANNED_OUT:
            return replace(usual, fan_out=usual.fan_out * self.factor)
        return replace(usual, oldest=usual.oldest * self.factor)

    def adapt(self, rows: int, seconds: float) -> None:
        """Take note of a batch that had so many rows and took so long."""
        limits = self.limits
        is_full = rows >= (limits.fan_out if self.lane == FANNED_OUT else limits.oldest)
        if is_full and seconds < SHORT_SECONDS:
            self.factor = min(2 * self.factor, LARGEST_FACTOR)
        elif not is_full or seconds > LONG_SECONDS:
            self.factor = max(self.factor // 2, 1)

    def reset(self) -> None:
        """Take note of a batch that failed: what follows is tried in usual portions."""
        self.factor = 1
