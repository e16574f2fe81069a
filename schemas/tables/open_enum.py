"""A Postgres enum whose labels may be more than this program knows: the platform may add or rename some."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Enum, Text, cast
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class OpenEnum(TypeDecorator[Any]):
    """A column whose labels are the member names of a StrEnum. An unknown label is loaded as the text that it is."""

    impl = Enum
    cache_ok = True

    def __init__(self, members: type[StrEnum], name: str) -> None:
        super().__init__(*(member.name for member in members), name=name)
        self.members = members

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.label(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:
        known: dict[str | None, str] = {member.name: member for member in self.members}
        return lambda label: known.get(label, label)

    def label(self, value: str) -> str:
        """Return the label of a member or of its value; other text is a label already."""
        try:
            return self.members(value).name
        except ValueError:
            return str(value)


def label_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the label as text in SQL: Postgres rejects comparisons with a label that its enum does not have."""
    return cast(column, Text)
