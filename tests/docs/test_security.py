"""docs/security.md goes through all ten risks and names a test for each."""

import re

import pytest

from tests.docs.documents import ROOT

SECTIONS = re.split(r"^## ", (ROOT / "docs/security.md").read_text(), flags=re.MULTILINE)[1:]
BY_RISK = {section.split()[0]: section for section in SECTIONS}


@pytest.mark.parametrize("risk", [f"API{number}" for number in range(1, 11)])
def test_each_of_the_ten_risks_has_a_test_that_shows_what_is_done(risk: str) -> None:
    assert re.search(r"^- `tests/[\w/]+\.py::\w+`", BY_RISK[risk], re.MULTILINE)
