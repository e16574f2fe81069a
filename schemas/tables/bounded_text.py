"""Text columns whose values are cut when they are read: megabytes of text in one row cost no more than that row."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

MAX_CHARACTERS = 20_000
"""Ten times what a page shows, and so few that a document of long texts fits into one request."""


class _Bounded(TypeDecorator[str]):
    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:
        return cut


class BoundedText(_Bounded):
    impl = Text
    cache_ok = True


class BoundedString(_Bounded):
    impl = String
    cache_ok = True


def cut(text: Any) -> Any:
    """Return the text, cut to MAX_CHARACTERS with an ellipsis."""
    if text is None or len(text) <= MAX_CHARACTERS:
        return text
    return text[: MAX_CHARACTERS - 1] + "…"
