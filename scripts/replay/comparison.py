"""Compare the answers of two sides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal, get_args

import orjson

from schemas.api.preferences import Preferences
from scripts.replay.searches import encode_search
from scripts.replay.side import Answer, Side

Kind = Literal["list", "scores", "count", "unanswered"]
"""What differs: the departures or their order, the scores of those that both show, the number of candidates."""

TOP = 10
"""Departures at the beginning of a list whose overlap is measured: what is seen without scrolling."""
MAX_LISTED = 20
"""Searches with differences that a report lists."""
MAX_UNANSWERED = 20
"""Unanswered searches after which a replay ends: the rest would only wait."""


@dataclass(frozen=True)
class Difference:
    """The differences between two answers to a search, with its preferences and nothing of a person."""

    preferences: object
    kinds: Sequence[Kind]
    overlap: float
    """Share of the first departures that both sides show."""
    counts: tuple[int, int]
    """Candidates on either side."""
    score_change: float
    """Of the departure whose score changes most."""
    problems: tuple[str | None, str | None]
    """Why a side left it unanswered."""


@dataclass(frozen=True)
class Latency:
    """Of the searches that a side answered."""

    side: str
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class Report:
    searches: int
    same: int
    by_kind: dict[Kind, int]
    overlap: float
    """Mean of all searches."""
    against: Latency
    to: Latency
    differences: Sequence[Difference] = field(default=())
    """The first ones."""

    @property
    def different(self) -> float:
        """Share of the searches that are answered differently."""
        # Not 1 minus the share of the same: three of ten would be more than 0.3.
        return (self.searches - self.same) / self.searches

    @property
    def slower(self) -> float:
        """Factor between the 95th percentiles of the sides; 1 if one is unknown."""
        return self.to.p95_ms / self.against.p95_ms if self.to.p95_ms and self.against.p95_ms else 1.0


async def replay(searches: Iterable[Preferences], against: Side, to: Side) -> Report:
    """Make each search, of which there is at least one, on both sides: in turn on the one and on the other first."""
    answers: list[tuple[Answer, Answer]] = []
    compared: list[Difference] = []
    unanswered_in_a_row = 0
    for number, search in enumerate(searches):
        if number % 2:
            second = await to.search(search)
            first = await against.search(search)
        else:
            first = await against.search(search)
            second = await to.search(search)
        answers.append((first, second))
        compared.append(compare(search, first, second))
        unanswered_in_a_row = unanswered_in_a_row + 1 if "unanswered" in compared[-1].kinds else 0
        if unanswered_in_a_row == MAX_UNANSWERED:
            break
    return Report(
        searches=len(compared),
        same=sum(not each.kinds for each in compared),
        by_kind={kind: _count(compared, kind) for kind in get_args(Kind)},
        overlap=sum(each.overlap for each in compared) / len(compared),
        against=_latency(against, [first for first, _ in answers]),
        to=_latency(to, [second for _, second in answers]),
        differences=[each for each in compared if each.kinds][:MAX_LISTED],
    )


def compare(search: Preferences, first: Answer, second: Answer) -> Difference:
    changes = _score_changes(first, second)
    return Difference(
        preferences=orjson.loads(encode_search(search)),
        kinds=list(_kinds(first, second, changes)),
        overlap=_overlap(first, second),
        counts=(first.total, second.total),
        score_change=max(changes, key=abs, default=0),
        problems=(first.problem, second.problem),
    )


def _kinds(first: Answer, second: Answer, changes: Sequence[float]) -> Iterable[Kind]:
    if first.problem or second.problem:
        yield "unanswered"
        return
    if first.ids != second.ids:
        yield "list"
    if any(changes):
        yield "scores"
    if first.total != second.total:
        yield "count"


def _score_changes(first: Answer, second: Answer) -> list[float]:
    before = dict(zip(first.ids, first.scores, strict=True))
    after = zip(second.ids, second.scores, strict=True)
    return [score - before[id_] for id_, score in after if id_ in before]


def _overlap(first: Answer, second: Answer) -> float:
    if first.problem or second.problem:
        return 0.0
    tops = {*first.ids[:TOP]}, {*second.ids[:TOP]}
    return len(tops[0] & tops[1]) / max(map(len, tops)) if any(tops) else 1.0


def _count(compared: Iterable[Difference], kind: Kind) -> int:
    return sum(kind in each.kinds for each in compared)


def _latency(side: Side, answers: Iterable[Answer]) -> Latency:
    seconds = sorted(answer.seconds for answer in answers if answer.problem is None)

    def percentile(share: float) -> float | None:
        return round(seconds[ceil(share * len(seconds)) - 1] * 1000, 2) if seconds else None

    return Latency(side.name, percentile(0.5), percentile(0.95))
