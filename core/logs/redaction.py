"""Redaction of personal data and secrets in the values of log events, in time linear in their length."""

import re
from re import Match

from schemas.weight_sets import REFERENCE_PATTERN

REDACTED = "***"

MAX_CHARACTERS = 16_384
"""Characters of a value that are logged, the traceback of an exception included; the rest is cut off."""

MAX_CHARACTERS_BY_NAME = {"path": 200, "call": 200}
"""Lower limits of the values that clients choose, by the name under which they are logged."""

# An expression that may begin anywhere in a run of characters and ends at its end takes quadratic time for a run such
# as `a@a@...` or `eyJeyJ...`. These match whole runs, and functions decide which of them to replace.
ROW_DETAIL = re.compile(r"(?s:DETAIL: .*?(?=\n\[SQL|\n\n|\Z))")
"""The row that Postgres rejected."""
WORD = re.compile(r"[^\s/'\"(),:;=<>]++")
"""May be an e-mail address, or the password and host of a URL."""
DOTTED_WORD = re.compile(r"[\w.-]++")
"""May have a token at its end."""

WEIGHT_SET = re.compile(rf"(?:{REFERENCE_PATTERN})\.?")

JSON_IN_BASE64 = "eyJ"
"""How each part of a token begins."""


def redact_values(event: dict[str, object]) -> dict[str, object]:
    """Return the event with its values cut to their limits, and redacted."""
    return {name: _redact_value(value, _limit(name)) for name, value in event.items()}


def _limit(name: str) -> int:
    return MAX_CHARACTERS_BY_NAME.get(name, MAX_CHARACTERS)


def _redact_value(value: object, limit: int) -> object:
    match value:
        case str():
            return _cut(redact(value[: 2 * limit]), limit)
        case dict():
            return {name: _redact_value(item, min(limit, _limit(str(name)))) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redact_value(item, limit) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _cut(redact(repr(value)[: 2 * limit]), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def redact(text: str) -> str:
    """Replace rows in the errors of Postgres, e-mail addresses, passwords in URLs, and tokens."""
    if "DETAIL: " in text:
        text = ROW_DETAIL.sub(REDACTED, text)
    if "@" in text or "%40" in text:
        text = WORD.sub(_redact_address, text)
    return DOTTED_WORD.sub(_redact_token, text) if JSON_IN_BASE64 in text else text


def _redact_address(word: Match[str]) -> str:
    """Redact a word with an at sign, encoded or not, between other characters, unless it names a weight set."""
    decoded = word[0].replace("%40", "@")
    return REDACTED if "@" in decoded[1:-1] and not _names_weight_set(word) else word[0]


def _names_weight_set(word: Match[str]) -> bool:
    """Return whether a word is the reference of a weight set and stands alone: many a password looks the same."""
    beside = word.string[max(word.start() - 1, 0) : word.start()] + word.string[word.end() : word.end() + 1]
    return WEIGHT_SET.fullmatch(word[0]) is not None and not beside.strip()


def _redact_token(word: Match[str]) -> str:
    before, start, rest = word[0].partition(JSON_IN_BASE64)
    return f"{before}{REDACTED}" if start and "." in rest else word[0]
