"""The page of versions keeps the rows that a run does not replace, and tells what failed."""

import pytest

from scripts.versions.page import read, render
from scripts.versions.run import SUITES, outcome
from scripts.versions.servers import SERVERS

ROWS = {server.name: ["1.2", server.source, "2026-01-02", *["3 passed"] * len(SUITES)] for server in SERVERS}
CASE = '<testcase name="{}">{}</testcase>'


def test_page_is_read_as_it_was_written() -> None:
    assert read(render(ROWS, SUITES)) == ROWS


@pytest.mark.parametrize(
    ("cases", "told"),
    [
        ([("one", ""), ("two", "")], "2 passed"),
        ([("one", "<failure/>"), ("two", "")], "1 of 2 failed: `one`"),
        ([("a|b", "<error/>")], "1 of 1 failed: `a/b`"),
        ([(str(number), "<failure/>") for number in range(6)], "6 of 6 failed: `0`, `1`, `2`, `3`, `4`, ..."),
    ],
)
def test_outcome_names_what_failed(cases: list[tuple[str, str]], told: str) -> None:
    report = "".join(CASE.format(name, result) for name, result in cases)
    assert outcome(f"<testsuites><testsuite>{report}</testsuite></testsuites>") == told


def test_suite_without_report_was_not_run() -> None:
    assert outcome("") == "not run: pytest wrote no report"
