"""Every message exists in both languages, with the same values, and every key that the code names exists."""

import ast
import re
from collections import Counter
from pathlib import Path
from string import Formatter

import pytest

import indexer.errors
from schemas.messages.index_operations import INDEX_OPERATIONS
from schemas.messages.message import TEXTS, Message
from schemas.messages.responses import RESPONSES
from schemas.messages.text import Text
from schemas.messages.validation_texts import OWN_KINDS, PYDANTIC_KINDS, VALUES

ROOT = Path(__file__).parents[2]
HEBREW = re.compile(r"[א-ת]")
SAME_IN_BOTH = {"redis", "null", "field"}
"""Keys of names and forms that no language changes."""

NAMED_BY = {"Message", "invalid", "IndexerError"}
"""Callables whose first argument is a key."""


def placeholders(text: str) -> Counter[tuple[str | None, str | None]]:
    return Counter((name, form) for _, name, form, _ in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("key", TEXTS)
def test_languages_have_the_same_values(key: str) -> None:
    text = TEXTS[key]
    assert placeholders(text.en) == placeholders(text.he)


@pytest.mark.parametrize("key", TEXTS)
def test_text_is_in_its_language(key: str) -> None:
    text = TEXTS[key]
    assert not HEBREW.search(text.en)
    assert bool(HEBREW.search(text.he)) is (key not in SAME_IN_BOTH)
    # Names, codes and words for programs stay as they are, but no English sentence does.
    assert not re.search(r"\b(the|is|should|please|of|not)\b", text.he, re.IGNORECASE)


def test_keys_are_unique() -> None:
    parts: list[dict[str, Text]] = [RESPONSES, INDEX_OPERATIONS, OWN_KINDS, PYDANTIC_KINDS, VALUES]
    assert sum(map(len, parts)) == len(TEXTS)


def named_keys() -> set[str]:
    """Return the keys that code names: first arguments, and texts that keys are chosen from."""
    found: set[str] = set()
    for package in ("app", "core", "indexer", "schemas"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and node.args:
                    found.update(_key(node))
    return found


def _key(call: ast.Call) -> set[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    is_indexer_error = name == "__init__" and isinstance(call.func, ast.Attribute)
    value = call.args[0]
    if not (name in NAMED_BY or is_indexer_error) or not isinstance(value, ast.Constant):
        return set()
    return {value.value} if isinstance(value.value, str) else set()


CHOSEN = {
    *("company_not_found", "country_not_found", "guide_not_found", "occurrence_not_found", "template_not_found"),
    *("scenario_not_found", "scenarios_not_found", "boolean", "list", "object", "null", "number", "other_kind"),
}
"""Keys that code composes or takes from a table."""


def test_catalogue_has_exactly_the_keys_that_code_names() -> None:
    assert named_keys() | CHOSEN == set(TEXTS) - set(PYDANTIC_KINDS)


def test_values_are_not_templates() -> None:
    message = Message("no_number", found='"{found} {0} %s"')
    assert str(message) == 'should be a number, not "{found} {0} %s"'


def test_nested_messages_are_in_the_same_language() -> None:
    field = Message("field", name="budget", problem=Message("no_number", found=Message("list")))
    message = Message("invalid_fields", fields=(field, field))
    assert message.text("he") == "יש לתקן: budget צריך להיות מספר, לא רשימה; budget צריך להיות מספר, לא רשימה."
    assert (
        str(message) == "Please correct: budget should be a number, not a list; budget should be a number, not a list."
    )


def test_errors_of_the_indexer_are_their_english_text() -> None:
    error = indexer.errors.ReindexRunningError()
    assert str(error) == TEXTS["reindex_running"].en == error.message.text("en")
