"""The glossary stays short and defines each term once."""

import re

from tests.docs.documents import table

GLOSSARY = "docs/reference/glossary.md"
MAX_TERMS = 20


def terms() -> list[str]:
    return [term for term, _ in table(GLOSSARY, "# Glossary")]


def test_glossary_is_short() -> None:
    assert 0 < len(terms()) <= MAX_TERMS


def test_terms_are_unique() -> None:
    assert len({re.sub(r"\W", "", term.lower()) for term in terms()}) == len(terms())
