"""A message: the key of a text and its values. It is rendered when its language is known."""

from collections.abc import Mapping

from schemas.messages.index_operations import INDEX_OPERATIONS
from schemas.messages.responses import RESPONSES
from schemas.messages.text import DEFAULT_LANGUAGE, Language, Text
from schemas.messages.validation_texts import KINDS, VALUES

TEXTS: Mapping[str, Text] = {**RESPONSES, **INDEX_OPERATIONS, **KINDS, **VALUES}
"""The catalogue of all texts, by key."""


class Message:
    def __init__(self, key: str, /, **values: object) -> None:
        """`values` fill the placeholders of the text; messages among them, and in tuples, are rendered too."""
        self.key = key
        self._values = values

    def text(self, language: Language) -> str:
        values = {name: _render(value, language) for name, value in self._values.items()}
        text: str = getattr(TEXTS[self.key], language)
        return text.format_map(values)

    def __str__(self) -> str:
        return self.text(DEFAULT_LANGUAGE)


def _render(value: object, language: Language) -> object:
    if isinstance(value, Message):
        return value.text(language)
    if isinstance(value, tuple):
        return "; ".join(str(_render(part, language)) for part in value)
    return value
