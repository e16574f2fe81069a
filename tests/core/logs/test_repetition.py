"""Errors that repeat are one line a minute and a count, whatever differs between requests; kinds are bounded."""

import json

import pytest

from core.logs.repetition import MAX_EVENTS, MAX_KINDS, OTHERS, REPEATED, Kind, RepetitionLimit
from tests.core.logs.test_configuration import run


@pytest.fixture
def reported() -> list[tuple[Kind, int]]:
    return []


@pytest.fixture
def limit(reported: list[tuple[Kind, int]]) -> RepetitionLimit:
    return RepetitionLimit(lambda kind, count: reported.append((kind, count)))


def test_first_of_each_kind_is_admitted(limit: RepetitionLimit, reported: list[tuple[Kind, int]]) -> None:
    kinds = [("failed", "a"), ("failed", "b"), ("ended",)]
    assert [limit.admits(kind) for kind in kinds * 3] == [True] * 3 + [False] * 6
    limit.end_window()
    assert reported == [(kind, 2) for kind in kinds]
    assert limit.admits(kinds[0])
    limit.end_window()
    assert len(reported) == 3


def test_number_of_lines_is_bounded(limit: RepetitionLimit) -> None:
    admitted = [limit.admits((f"event {event}", str(kind))) for event in range(2 * MAX_EVENTS) for kind in range(100)]
    assert sum(admitted) <= MAX_EVENTS * (MAX_KINDS + 1) + 1
    assert not limit.admits((OTHERS,))
    limit.end_window()


REQUESTS = """
for number in range(1000):
    request_id_var.set(str(number))
    try: 1 / 0
    except ZeroDivisionError: log.exception('unexpected_error', path=f'/api/{number}')
    log.warning('database_unavailable', error='TimeoutError')
    log.info('done', number=number)
"""


def test_process_writes_a_repeated_error_once_and_its_count() -> None:
    lines = [json.loads(line) for line in run(REQUESTS)]
    assert sum(line["event"] == "done" for line in lines) == 1000
    (error,) = (line for line in lines if line["event"] == "unexpected_error")
    assert "Traceback" in error["exception"]
    (warning,) = (line for line in lines if line["event"] == "database_unavailable")
    assert warning["request_id"] == "0"
    counts = {line["line"]: line["count"] for line in lines if line["event"] == REPEATED}
    assert counts == {"unexpected_error": 999, "database_unavailable": 999}


ERRORS_OF_A_LIBRARY = """
for _ in range(10):
    try: structlog.get_logger(1, 2).bind(**{'a': 1}).unbind('b')
    except KeyError: log.exception('unexpected_error')
for _ in range(10):
    try: structlog.get_logger(1, 2).bind(**{'a': 1}).unbind('c')
    except KeyError: log.exception('unexpected_error')
"""


def test_errors_of_a_library_are_told_apart_by_the_line_that_called_it() -> None:
    lines = [json.loads(line) for line in run(ERRORS_OF_A_LIBRARY)]
    assert sum(line["event"] == "unexpected_error" for line in lines) == 2


def test_different_lines_of_one_event_are_all_written() -> None:
    lines = run("for number in range(10): log.warning('server_differs', difference=f'column {number}')")
    assert len(lines) == 10
