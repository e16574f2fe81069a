"""Searches to replay: preferences only. Who searched, when, and in which session is read nowhere."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.api.preferences import Preferences
from schemas.tables import RecommendationRequest
from scripts.errors import CliError


def read_file(path: Path) -> list[Preferences]:
    """Return the searches of a file of JSON lines. Raises: CliError, which names the line.

    A line is an object of preferences, or a row of the request log, of which only `preferences` is read. One without
    any field of a search would be a search for everything: it is of another file.
    """
    lines = path.read_bytes().removeprefix(BOM_UTF8).splitlines()
    return [_parse(line, f"Line {number} of {path}") for number, line in enumerate(lines, 1) if line.strip()]


async def read_log(connection: AsyncConnection, count: int) -> list[Preferences]:
    """Return the last searches of the request log, oldest first, without those that this release refuses."""
    newest_first = select(RecommendationRequest.preferences).order_by(RecommendationRequest.id.desc()).limit(count)
    return _valid(reversed((await connection.scalars(newest_first)).all()))


def write_file(path: Path, searches: Sequence[Preferences]) -> None:
    """Write the searches as JSON lines, for another replay."""
    path.write_bytes(b"".join(encode_search(search) + b"\n" for search in searches))


def encode_search(search: Preferences) -> bytes:
    """Return the body of a request that makes this search: the fields of Preferences that were given, and no others."""
    return orjson.dumps(search.model_dump(exclude_defaults=True), default=float)


def _parse(line: bytes, where: str) -> Preferences:
    try:
        row = orjson.loads(line)
    except ValueError:
        raise CliError(f"{where} should be JSON.") from None
    search = row.get("preferences", row) if isinstance(row, dict) else row
    if isinstance(search, dict) and search and Preferences.model_fields.keys().isdisjoint(search):
        raise CliError(f"{where} should be an object of preferences; it has no field of a search.")
    try:
        return Preferences.model_validate(search)
    except ValidationError as error:
        location = error.errors(include_input=False, include_url=False)[0]["loc"]
        field = f": {location[0]} is wrong" if location else ""
        raise CliError(f"{where} should be an object of preferences{field}.") from None


def _valid(rows: Iterable[object]) -> list[Preferences]:
    searches = []
    for row in rows:
        try:
            searches.append(Preferences.model_validate(row))
        except ValidationError:
            # Logged by another release, or by hand.
            continue
    return searches
