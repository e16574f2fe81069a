"""The spellings of an e-mail address in texts: in any case, and encoded as URLs, JSON and HTML encode letters."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape
from unicodedata import combining, normalize

BACKSLASH = r"(?:\\(?:u005[cC])?|%(?:25)*5[cC]|&#(?:92|[xX]5[cC]);)"
"""JSON writes one before each letter that it escapes, and two in place of one, each time that a text is encoded."""
ESCAPE = f"{BACKSLASH}*"

SIGNS = ("@", "%40", "2540", "u0040", "U0040", "#64;", "x40;", "X40;")
"""One of these is in every spelling: texts that have none need no search for the pattern."""


@lru_cache(maxsize=1)
def address_pattern(email: str) -> str:
    """Return a regular expression for the address in every spelling, for Python and for Postgres alike.

    Each letter may be in another case, composed or not, and encoded in its own way, in URLs any number of times. A
    backslash of the address may be one that escapes the next letter.
    """
    # No part may match the same backslashes as the one beside it, and none begins with them: a search would take
    # quadratic time. So those of the address are what separates its parts.
    parts = re.split(r"\\+", email.strip("\\"))
    return f"{BACKSLASH}+".join(ESCAPE.join(map(_letter_pattern, _letters(part))) for part in parts)


def _letters(email: str) -> Iterator[str]:
    """Yield the address in lower case letter by letter, each with its combining marks."""
    letter = ""
    for character in normalize("NFD", email.lower()):
        if letter and not combining(character):
            yield letter
            letter = ""
        letter += character
    yield letter


def _letter_pattern(letter: str) -> str:
    return _any_of(ESCAPE.join(map(_character_pattern, variant)) for variant in _variants(letter))


def _character_pattern(character: str) -> str:
    return _any_of(_encodings(character))


def _any_of(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(set(patterns)))})"


def _variants(letter: str) -> set[str]:
    """Return the letter in every case: `ß`, `ẞ` and `SS`, or `k`, `K` and the sign of the unit Kelvin."""
    cases = {letter, letter.upper(), letter.title(), *_case_variants().get(_caseless(letter), ())}
    return {normalize(form, variant) for variant in cases for form in ("NFC", "NFD")} | cases


@lru_cache(maxsize=1)
def _case_variants() -> Mapping[str, list[str]]:
    """Return all characters that have cases, by what they have in common."""
    variants: dict[str, list[str]] = {}
    for character in map(chr, range(sys.maxunicode + 1)):
        if character.casefold() != character:
            variants.setdefault(_caseless(character), []).append(character)
    return variants


def _caseless(letter: str) -> str:
    return normalize("NFD", letter.casefold())


def _encodings(character: str) -> Iterator[str]:
    """Yield an expression for each encoding of a character."""
    utf_8, number = character.encode(), ord(character)
    yield re.escape(character)
    # Headers are decoded as Latin-1.
    yield re.escape(utf_8.decode("latin-1"))
    yield re.escape(escape(character))
    yield re.escape(json.dumps(character)[1:-1].lstrip("\\"))
    yield "".join(f"%(?:25)*{_hexadecimal(byte, 2)}" for byte in utf_8)
    yield ESCAPE.join(f"u{_hexadecimal(unit, 4)}" for unit in _utf_16(character))
    yield f"&#(?:0*{number}|[xX]0*{_hexadecimal(number)});"


def _utf_16(character: str) -> Iterator[int]:
    units = character.encode("utf-16-be")
    return (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))


def _hexadecimal(number: int, digits: int = 1) -> str:
    """Return an expression for a number in either case of its digits."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:0{digits}x}")
