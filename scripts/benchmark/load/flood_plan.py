"""Input and output of the flood generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scripts.benchmark.load.workload import Ids


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Searches for some seconds: in an open loop at `rate`, or in a closed one of `clients`."""

    seconds: float
    rate: float = 0.0
    clients: int = 0


@dataclass(frozen=True, kw_only=True)
class FloodPlan:
    url: str
    ids: Ids
    seed: int
    """Plans with other seeds have other searches."""
    phases: Sequence[Phase]
    connections: int = 512
    """A request that is due while none of them is free waits for one."""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "FloodPlan":
        phases = [Phase(**phase) for phase in fields["phases"]]
        return cls(**{**fields, "ids": Ids(**fields["ids"]), "phases": phases})


class Answer(StrEnum):
    ANSWERED = "answered"
    DEGRADED = "degraded"
    """Answered with a warning: from Postgres, or without it."""
    REFUSED = "refused"
    """Status 503."""
    FAILED = "failed"
    """Any other status, or a connection that broke."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what became of it."""

    answer: Answer
    due: float
    """Seconds from the start of the phase."""
    sent: float
    """The same of when it was sent; a busy generator or a lack of free connections make it later."""
    received: float
    """The same of the end of the response."""

    @property
    def seconds(self) -> float:
        """Latency as a client finds it: a generator that is late counts, too."""
        return self.received - self.due


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    exchanges: Sequence[Exchange]
    cpu_seconds: float
    """CPU time of the generator."""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "PhaseResult":
        exchanges = [Exchange(Answer(answer), *times) for answer, *times in fields["exchanges"]]
        return cls(exchanges=exchanges, cpu_seconds=fields["cpu_seconds"])
