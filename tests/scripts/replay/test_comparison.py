"""What counts as a difference between two answers."""

import asyncio
from collections.abc import Sequence

import pytest

from schemas.api.preferences import Preferences
from scripts.commands.replay import judge
from scripts.errors import ExitCode
from scripts.replay.address_side import parse_answer, without_credentials
from scripts.replay.comparison import MAX_LISTED, MAX_UNANSWERED, Report, compare, replay
from scripts.replay.side import Answer

ANSWER = Answer(0.01, ids=[1, 2, 3], scores=[90, 80, 70], total=9)
FAILED = Answer(0.01, problem="status 503")
SEARCH = Preferences.model_validate({"budget": 100})


@pytest.mark.parametrize(
    ("other", "kinds", "overlap"),
    [
        (ANSWER, [], 1),
        (Answer(9.0, ids=[1, 2, 3], scores=[90, 80, 70], total=9), [], 1),
        (Answer(0.01, ids=[2, 1, 3], scores=[80, 90, 70], total=9), ["list"], 1),
        (Answer(0.01, ids=[1, 2, 3], scores=[90, 81, 70], total=9), ["scores"], 1),
        (Answer(0.01, ids=[1, 2, 3], scores=[90, 80, 70], total=8), ["count"], 1),
        (Answer(0.01, ids=[1, 2, 4, 5], scores=[90, 80, 70, 60], total=10), ["list", "count"], 0.5),
        (Answer(0.01, ids=[], scores=[], total=9), ["list"], 0),
        (FAILED, ["unanswered"], 0),
    ],
)
def test_differences_are_named_by_kind(other: Answer, kinds: Sequence[str], overlap: float) -> None:
    for first, second in ((ANSWER, other), (other, ANSWER)):
        difference = compare(SEARCH, first, second)
        assert (difference.kinds, difference.overlap) == (kinds, overlap)


def test_two_empty_lists_are_the_same() -> None:
    difference = compare(SEARCH, Answer(0.01), Answer(0.02))
    assert (difference.kinds, difference.overlap) == ([], 1)


def test_largest_change_of_a_score_keeps_its_sign() -> None:
    other = Answer(0.01, ids=[1, 2, 9], scores=[92, 71, 10], total=9)
    assert compare(SEARCH, ANSWER, other).score_change == -9


@pytest.mark.parametrize(
    ("status", "headers", "content", "problem"),
    [
        (503, {}, b"{}", "status 503"),
        (200, {}, b"<html>", "a body of another form"),
        (200, {}, b'{"data": [{}], "total_candidates": 1}', "a body of another form"),
        (200, {}, b"[]", "a body of another form"),
        (200, {}, b'{"data": null, "total_candidates": 1}', "a body of another form"),
        (200, {"Warning": "199 - x"}, b'{"data": [], "total_candidates": 0}', "degraded: 199 - x"),
        (200, {}, b'{"data": [], "total_candidates": 0}', None),
    ],
)
def test_what_is_no_list_is_a_problem(status: int, headers: dict[str, str], content: bytes, problem: str) -> None:
    assert parse_answer(status, headers, content, 0.1).problem == problem


def test_credentials_of_an_address_are_not_shown() -> None:
    assert without_credentials("https://dana:secret@example.org:8443") == "https://example.org:8443"


class RecordedSide:
    """A side whose answers are given."""

    def __init__(self, name: str, *answers: Answer) -> None:
        self.name = name
        self._answers = iter(answers)

    async def search(self, preferences: Preferences) -> Answer:
        return next(self._answers)


def report_of(first: Sequence[Answer], second: Sequence[Answer]) -> Report:
    sides = RecordedSide("old", *first), RecordedSide("new", *second)
    return asyncio.run(replay([SEARCH] * len(first), *sides))


def test_report_sums_up_searches() -> None:
    slower = Answer(0.04, ANSWER.ids, ANSWER.scores, ANSWER.total)
    report = report_of([ANSWER] * 4, [slower, slower, slower, FAILED])
    assert (report.searches, report.same, report.by_kind["unanswered"], report.overlap) == (4, 3, 1, 0.75)
    assert (report.against.side, report.against.p95_ms, report.to.side, report.to.p95_ms) == ("old", 10, "new", 40)
    assert (report.slower, report.different) == (4, 0.25)
    assert [each.problems for each in report.differences] == [(None, "status 503")]


def test_report_lists_the_first_differences() -> None:
    other = Answer(0.01, total=1)
    report = report_of([ANSWER] * 2 * MAX_LISTED, [other] * 2 * MAX_LISTED)
    assert (report.by_kind["list"], len(report.differences)) == (2 * MAX_LISTED, MAX_LISTED)


def test_replay_ends_when_a_side_does_not_answer() -> None:
    report = report_of([ANSWER] * 100, [FAILED] * 100)
    assert report.searches == report.by_kind["unanswered"] == MAX_UNANSWERED
    assert (report.to.p95_ms, report.slower) == (None, 1)


def test_single_failures_do_not_end_a_replay() -> None:
    assert report_of([ANSWER] * 100, [FAILED, ANSWER] * 50).searches == 100


SLOW, OTHER = Answer(0.04, ANSWER.ids, ANSWER.scores, ANSWER.total), Answer(0.01, total=1)


@pytest.mark.parametrize(
    ("answers", "different", "slower", "code"),
    [
        ([ANSWER, ANSWER], 0, 1, ExitCode.DONE),
        ([ANSWER, OTHER], 0, None, ExitCode.DIFFERS),
        ([ANSWER, OTHER], 0.5, None, ExitCode.DONE),
        ([ANSWER, OTHER], 0.49, None, ExitCode.DIFFERS),
        ([*[ANSWER] * 7, *[OTHER] * 3], 0.3, None, ExitCode.DONE),
        ([ANSWER, FAILED], 1, None, ExitCode.UNANSWERED),
        ([SLOW, SLOW], 0, None, ExitCode.DONE),
        ([SLOW, SLOW], 0, 4, ExitCode.DONE),
        ([SLOW, SLOW], 0, 3.9, ExitCode.SLOWER),
    ],
)
def test_exit_code_follows_the_thresholds(
    answers: Sequence[Answer], different: float, slower: float | None, code: ExitCode
) -> None:
    assert judge(report_of([ANSWER] * len(answers), answers), different, slower) is code
