"""Lenient parsers for values that clients write in several ways: numbers as text, 0 or "" for none, unsorted lists.

Each parser takes a value of parsed JSON. Raises: ValueError, with a message that continues the field's name.
"""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BeforeValidator

from schemas.enums import Continent
from schemas.messages.message import Message
from schemas.messages.validation import invalid, nested

Value = TypeVar("Value")

MAX_LIST = 500

INT4 = 2**31
UNMATCHABLE_ID = -INT4
"""An id that no row has. It replaces every id that no column can store: it is valid, and matches nothing."""

MAX_DAYS = 10_000_000
"""Longer than any trip between two dates: every larger number means the same."""

MAX_PRICE = Decimal("99999999.99")
"""The highest price that the platform can store: every larger budget means the same."""

MIN_BUDGET = Decimal("0.0001")
"""Less than a cent at every percentage: every smaller budget means the same."""

MAX_DECIMALS = 30

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_LOST_PLUS = re.compile(r"(T[\d:.,]+) (\d)", re.ASCII)
"""The zone of a time in a query string, in which a plus stands for a blank."""
_KINDS = {bool: "boolean", list: "list", dict: "object", type(None): "null"}
"""Keys of the messages that describe a value by its type."""


def _describe(value: object) -> str | Message:
    """Return a short description of an invalid value for error messages, never a nested structure."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else f'"{value[:40]}…"'
    if isinstance(value, float) and not math.isfinite(value):
        return Message("not_finite")
    return Message(_KINDS.get(type(value), "number"))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def to_integral(number: object) -> object:
    """Convert an integral float to int, since JSON has one kind of number: 5.0 is 5."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _number(value: object) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    raise invalid("no_number", found=_describe(value))


def _whole(value: object) -> Decimal:
    """Parse 18, 18.0, "18" and "18.0" alike. Returns no int, because it may have a thousand digits."""
    number = _number(value)
    if number != number.to_integral_value():
        raise invalid("not_whole")
    return number


def whole_from(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _whole(value)
        if not low <= number <= high:
            raise invalid("not_between", low=low, high=high)
        return int(number)

    return read


def parse_id(value: object) -> int:
    number = _whole(value)
    return int(number) if -INT4 < number < INT4 else UNMATCHABLE_ID


def parse_days(value: object) -> int:
    number = _whole(value)
    if number < 0:
        raise invalid("negative_days")
    return int(min(number, Decimal(MAX_DAYS)))


def parse_amount(value: object) -> Decimal:
    number = _number(value)
    if number < 0:
        raise invalid("negative_amount")
    if number == 0:
        return Decimal(0)
    return _plain(min(max(number, MIN_BUDGET), MAX_PRICE))


def _plain(number: Decimal) -> Decimal:
    """Normalize equal amounts: 1500, 1500.00 and 1.5E+3 become 1500."""
    integer, _, decimals = f"{number:f}".partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > MAX_DECIMALS:
        raise invalid("too_many_decimals", most=MAX_DECIMALS)
    return Decimal(f"{integer}.{decimals}")


def continent(value: object) -> Continent:
    if not isinstance(value, str):
        raise invalid("no_continent_name", found=_describe(value))
    return Continent.parse(value)


def iso_date(value: object) -> date:
    """Parse a date, or a full ISO time such as a browser sends, whose day counts as it is written."""
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value.strip())
        with suppress(ValueError):
            return datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", value.strip())).date()
    raise invalid("no_date", found=_describe(value))


def optional(read: Callable[[object], Value]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if _is_empty(value) else read(value))


empty_as_none = optional(lambda value: value)


def zero_as_none(read: Callable[[object], Value], default: Value) -> BeforeValidator:
    return BeforeValidator(lambda value: default if _is_empty(value) else read(value) or default)


def allow_all(read: Callable[[object], int]) -> BeforeValidator:
    def validate(value: object) -> int | None:
        if _is_empty(value) or (isinstance(value, str) and value.strip().casefold() == "all"):
            return None
        try:
            return read(value)
        except ValueError as error:
            raise invalid("or_all", problem=nested(error)) from None

    return BeforeValidator(validate)


def sorted_set(read: Callable[[object], Any]) -> BeforeValidator:
    """Parse a list into a sorted tuple without duplicates."""

    def validate(value: object) -> tuple[Any, ...]:
        if _is_empty(value):
            return ()
        if not isinstance(value, list | tuple):
            raise invalid("no_list", found=_describe(value))
        if len(value) > MAX_LIST:
            raise invalid("list_too_long", most=MAX_LIST, length=len(value))
        return tuple(sorted({_entry(read, position, item) for position, item in enumerate(value, 1)}))

    return BeforeValidator(validate)


def _entry(read: Callable[[object], Value], position: int, item: object) -> Value:
    try:
        return read(item)
    except ValueError as error:
        raise invalid("entry", position=position, found=_describe(item), problem=nested(error)) from None
