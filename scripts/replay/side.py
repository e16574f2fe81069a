"""A side of a replay: what answers searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.api.preferences import Preferences


@dataclass(frozen=True)
class Answer:
    """The answer of a side to one search."""

    seconds: float
    ids: Sequence[int] = ()
    """Of the departures in the list, in their order."""
    scores: Sequence[float] = ()
    """Of the same departures."""
    total: int = 0
    """Number of candidates."""
    problem: str | None = None
    """Why there is no list; None if there is one."""


class Side(Protocol):
    @property
    def name(self) -> str:
        """The side's name in the report."""
        ...

    async def search(self, preferences: Preferences) -> Answer:
        """Make one search. A failure is a problem of the answer; nothing is raised for it."""
        ...
