"""The index of decisions is complete, and every record has the same sections."""

import re
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, table, text

FOLDER = ROOT / "docs/decisions"
RECORDS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
SECTIONS = ["Context", "Decision", "Alternatives", "Consequences"]


def test_index_lists_every_record() -> None:
    linked = [re.findall(r"\(([^)]+)\)", name)[0] for name, _ in table("docs/decisions/README.md", "# Decisions")]
    assert linked == [path.name for path in RECORDS]


def test_records_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == [*range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_record_has_every_section(record: Path) -> None:
    assert re.findall(r"^## (.+)$", text(record), re.MULTILINE) == SECTIONS
