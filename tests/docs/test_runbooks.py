"""Every alert has a runbook, every runbook an alert, and every log event of level warning and above an entry."""

import re
from pathlib import Path

import pytest

from scripts.observability.alerts import alerts
from tests.docs.documents import QUOTED, ROOT, table
from tests.interface.description import describe_log_events

RUNBOOKS = sorted(path for path in (ROOT / "docs/runbooks").glob("*.md") if path.name != "README.md")
SECTIONS = ["What travellers notice", "Confirm", "Do first", "Find the cause", "Prevent"]
SERIOUS = ("warning", "error", "exception")


def test_alerts_have_exactly_the_runbooks() -> None:
    assert {alert.runbook for alert in alerts()} == {*RUNBOOKS}


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_runbook_has_its_sections(runbook: Path) -> None:
    text = runbook.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(section.strip() for section in re.split(r"^## .+$", text, flags=re.MULTILINE)), "a section is empty"


def test_alert_is_named_like_its_runbook() -> None:
    for alert in alerts():
        assert alert.runbook.stem == re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert.name).lower()


def test_log_events_have_exactly_the_entries() -> None:
    pages = ("## API", "## Worker", "## All processes and commands")
    listed = [
        event
        for page in pages
        for row in table("docs/reference/log-events.md", page)
        for event in QUOTED.findall(row[0])
    ]
    serious = {name for level, name in map(str.split, describe_log_events()) if level in SERIOUS}
    assert sorted(listed) == sorted(serious)
