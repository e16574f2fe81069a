"""SQL by which the source's server replaces values before they leave it: by text of the same length and script."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.postgres.session_settings import quote
from scripts.staging.copied_columns import COPIED, KNOWN_VALUES, SEARCH_KEYS, SEARCH_WORDS, SEARCHES

LATIN = "lorem ipsum dolor sit amet "
HEBREW = "טקסט לדוגמה בלבד של סביבת הבדיקות "
ADDRESS = "https://example.invalid/" + "image/" * 20


@dataclass(frozen=True)
class CopiedColumn:
    table: str
    name: str
    identifier: str
    """The name as SQL, quoted where it has to be."""
    category: Literal["text", "json", "other"]
    is_unique: bool


def expression(column: CopiedColumn) -> str | None:
    """Return what is copied for a column; None if the target's default, or NULL, takes its place."""
    if column.name in COPIED[column.table]:
        return column.identifier
    if (column.table, column.name) in SEARCHES:
        return _search(column.identifier)
    if column.category == "json":
        return _json(column.identifier)
    return _text(column) if column.category == "text" else None


def _text(column: CopiedColumn) -> str:
    value = f"{column.identifier}::text"
    filler = _filler(value)
    if column.is_unique:
        filler = f"left(id::text || ' ' || {filler}, greatest(length({value}), length(id::text)))"
    known = KNOWN_VALUES.get((column.table, column.name))
    return filler if known is None else f"CASE WHEN {value} IN ({_list(known)}) THEN {value} ELSE {filler} END"


def _filler(value: str) -> str:
    """Return text of the same length: an address for an address, Hebrew for Hebrew, else Latin."""
    address, hebrew, latin = (
        f"left(repeat({quote(text)}, length({value}) / {len(text)} + 1), length({value}))"
        for text in (ADDRESS, HEBREW, LATIN)
    )
    return f"CASE WHEN {value} ~ '^https?://' THEN {address} WHEN {value} ~ '[א-ת]' THEN {hebrew} ELSE {latin} END"


def _json(name: str) -> str:
    """Return an object or a list of about the same size; any other value becomes null."""
    filler = _filler(f"{name}::text")
    return (
        f"CASE json_typeof({name}::json) WHEN 'object' THEN json_build_object('text', {filler})"
        f" WHEN 'array' THEN json_build_array({filler}) END"
    )


def _search(name: str) -> str:
    """Return the known keys of a search whose values have only numbers and known words."""
    words = quote(f'"({"|".join(SEARCH_WORDS)})"')
    value = f"regexp_replace(value::text, {words}, '0', 'g')"
    return (
        f"(SELECT coalesce(json_object_agg(key, value), '{{}}') FROM json_each("  # noqa: S608 -- quoted
        f"CASE json_typeof({name}::json) WHEN 'object' THEN {name}::json ELSE '{{}}' END)"
        f" WHERE key IN ({_list(SEARCH_KEYS)}) AND {value} ~ '^[][0-9., ]*$')"
    )


def _list(values: Sequence[str]) -> str:
    return ", ".join(map(quote, values))
