"""One text in every language of the API."""

from typing import Literal, NamedTuple

Language = Literal["en", "he"]

DEFAULT_LANGUAGE: Language = "en"


class Text(NamedTuple):
    """The same text in each language, with the same placeholders as of `str.format`."""

    en: str
    he: str
