"""The page of versions keeps the rows that a run does not replace, and tells what failed."""

import re
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from scripts.versions.page import read, render
from scripts.versions.run import SUITES, by_stack, outcome, read_cases, run_suite, version_of
from scripts.versions.servers import SERVERS
from tests.conftest import plain

ROWS = {server.name: ["1.2", server.source, "2026-01-02", *["3 passed"] * len(SUITES)] for server in SERVERS}
OWN = {"Postgres 18", "Valkey 9.1", "Elasticsearch 9"}
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
    assert outcome(read_cases(report(cases))) == told


def report(cases: list[tuple[str, str]]) -> str:
    return f"<testsuites><testsuite>{''.join(CASE.format(*case) for case in cases)}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("again", "told"), [("", "3 passed, 2 of them when repeated alone"), ("<failure/>", "1 of 3 failed: `two`")]
)
def test_outcome_is_that_of_the_repetition(again: str, told: str) -> None:
    first = [("one", "<failure/>"), ("two", "<error/>"), ("three", "")]
    assert outcome(read_cases(report(first)), read_cases(report([("one", ""), ("two", again)]))) == told


@pytest.mark.slow
def test_failed_test_is_repeated(tmp_path: Path) -> None:
    test = tmp_path / "test_once.py"
    test.write_text(
        "from pathlib import Path\n"
        "def test_always(): pass\n"
        "def test_second_time():\n"
        "    tried = Path(__file__).with_name('tried')\n"
        "    assert tried.exists() or tried.touch()\n"
    )
    assert run_suite(str(test), {}) == "2 passed, 1 of them when repeated alone"


def test_suite_without_report_was_not_run() -> None:
    assert outcome([]) == "not run: pytest wrote no report"


def test_servers_of_the_local_stack_share_a_run() -> None:
    groups = [{server.name for server in servers} for servers in by_stack(SERVERS)]
    assert [group for group in groups if len(group) > 1] == [OWN]


async def test_each_server_of_the_stack_tells_its_version(settings: Settings) -> None:
    urls = {
        "DATABASE_URL": plain(settings.database_url),
        "REDIS_URL": settings.redis_url,
        "ELASTICSEARCH_URL": settings.elasticsearch_url,
    }
    own = [server for server in SERVERS if server.name in OWN]
    assert all([re.fullmatch(r"\d+[.\d]*", await version_of(server, urls)) for server in own])
