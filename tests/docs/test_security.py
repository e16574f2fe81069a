"""docs/explanation/security.md covers all ten risks and names a test for each."""

import re

import pytest

from tests.docs.documents import text

SECTIONS = re.split(r"^## ", text("docs/explanation/security.md"), flags=re.MULTILINE)[1:]
BY_RISK = {section.split()[0]: section for section in SECTIONS}


@pytest.mark.parametrize("risk", [f"API{number}" for number in range(1, 11)])
def test_risk_names_a_test(risk: str) -> None:
    assert re.search(r"^- `tests/[\w/]+\.py::\w+`", BY_RISK[risk], re.MULTILINE)
