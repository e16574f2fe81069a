"""Values of options and arguments: each parser says in its error what would be right."""

# ruff: noqa: PLC0415 -- settings are loaded only where an option overrides one.

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from schemas.weight_sets import NAME_FORM, REFERENCE_FORM, is_weight_set_name, is_weight_set_reference

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

MAX_TEXT = 200
MAX_COUNT = 10_000_000
MAX_SECONDS = 86_400
INT8 = 2**63


def text(value: object) -> str:
    """Validate a text that is stored as it is, and shown in a line of a terminal."""
    if not 0 < len(str(value)) <= MAX_TEXT or not str(value).isprintable():
        raise typer.BadParameter(f"should be a text of 1 to {MAX_TEXT} characters in one line")
    return str(value)


class Choice(TypedDict):
    """The parts of an option or argument that takes one of a few words."""

    parser: Callable[[object], str]
    autocompletion: Callable[[str], list[str]]


def one_of(words: Callable[[], Iterable[str]]) -> Choice:
    """Return the parser of one of the words, and what shells complete it with."""

    def parse(value: object) -> str:
        word, right = str(value), list(words())
        if word not in right:
            raise typer.BadParameter(f"should be one of {', '.join(right)}")
        return word

    return {"parser": parse, "autocompletion": beginnings(words)}


def beginnings(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return a function for shells: those of the words that begin with what is typed."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words() if word.startswith(incomplete)]

    return complete


ByOption = Annotated[
    str | None, typer.Option("--by", parser=text, metavar="NAME", help="Who does it; else the system's user.")
]


def who(by: str | None) -> str:
    """Return who runs the command."""
    from getpass import getuser

    return by or getuser()


def whole_number(low: int, high: int = MAX_COUNT) -> Callable[[object], int]:
    """Return a parser of whole numbers from `low` to `high`."""

    def parse(value: object) -> int:
        text = str(value).strip()
        if not re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) or not low <= int(text) <= high:
            raise typer.BadParameter(f"should be a whole number from {low} to {high}")
        return int(text)

    return parse


def number(low: float, high: float, unit: str = "") -> Callable[[object], float]:
    """Return a parser of numbers from `low` to `high`; errors name the unit, such as ` of seconds`."""

    def parse(value: object) -> float:
        try:
            parsed = float(str(value))
        except ValueError:
            parsed = math.nan
        if not low <= parsed <= high:
            raise typer.BadParameter(f"should be a number{unit} from {low:g} to {high:g}")
        return parsed

    return parse


def seconds(low: float) -> Callable[[object], float]:
    """Return a parser of durations of at least `low` seconds, up to a day."""
    return number(low, MAX_SECONDS, " of seconds")


def address(value: object) -> str:
    """Validate the address of a process."""
    from core.configuration.hosts import is_http_url

    if not re.fullmatch(r"https?://[^\s/?#]+/?", str(value)) or not is_http_url(str(value)):
        raise typer.BadParameter("should be an address such as http://127.0.0.1:5000")
    return str(value).rstrip("/")


def sizes(value: object) -> str:
    """Validate catalogue sizes; `split_sizes` returns them as numbers."""
    whole = whole_number(1)
    try:
        for part in str(value).split(","):
            whole(part)
    except typer.BadParameter:
        raise typer.BadParameter(f"should be whole numbers from 1 to {MAX_COUNT}, separated by commas") from None
    return str(value)


def split_sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def weight_set_name(value: object) -> str:
    """Validate the name of a weight set to be stored."""
    if not is_weight_set_name(str(value)):
        raise typer.BadParameter(NAME_FORM)
    return str(value)


def weight_set_reference(value: object) -> str:
    """Validate the reference of a weight set."""
    if not is_weight_set_reference(str(value)):
        raise typer.BadParameter(REFERENCE_FORM)
    return str(value)


def replay_side(value: object) -> str:
    """Validate a side of a replay: an address, the reference of a weight set, or the name of an index or alias."""
    text = str(value)
    if "://" in text:
        return address(text)
    if is_weight_set_reference(text) or re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,200}", text):
        return text
    raise typer.BadParameter("should be an address, a weight set such as summer@1, or an index of this installation")


def staging_name(value: object) -> str:
    """Validate a word that is a part of the names of a database, keys and indexes."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", str(value), re.ASCII):
        raise typer.BadParameter("should be up to 20 of a-z and 0-9, beginning with a letter")
    return str(value)


def existing_file(value: object) -> Path:
    """Validate the path of a file to be read."""
    try:
        possible = Path(str(value)).is_file()
    except OSError:
        possible = False
    if not possible:
        raise typer.BadParameter("should be a file that exists")
    return Path(str(value))


def new_file(value: object) -> Path:
    """Validate a path at which a file can be written, before the work whose result it takes."""
    path = Path(str(value))
    try:
        possible = bool(str(value)) and path.parent.is_dir() and not path.is_dir()
    except OSError:
        possible = False
    if not possible:
        raise typer.BadParameter("should be a file in an existing folder")
    return path


def folder(value: object) -> Path:
    """Validate a path at which there is a folder, or can be one as far as the path exists."""
    path = Path(str(value)).absolute()
    try:
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        possible = bool(str(value)) and existing.is_dir()
    except OSError:
        possible = False
    if not possible:
        raise typer.BadParameter("should be a folder, or a path at which one can be created")
    return path


def email(value: object) -> str:
    """Return an e-mail address as the platform stores it."""
    from pydantic import TypeAdapter, ValidationError

    from schemas.api.tracking import Email

    try:
        address: str = TypeAdapter(Email).validate_python(value)
    except ValidationError:
        raise typer.BadParameter("should be an e-mail address") from None
    return address


def setting(name: str) -> Callable[[object], object]:
    """Return a parser of an option that overrides a setting."""

    def parse(value: object) -> object:
        from core.configuration.settings import SettingsError, parse_setting

        try:
            return parse_setting(name, value)
        except SettingsError as error:
            raise typer.BadParameter(str(error)) from None

    return parse
