"""Entities as JSON that Postgres writes, so that responses copy it: the JSON that the models in `schemas.api` make.

What the models may change or reject is written as ODD. A row that has it is loaded instead, and left to the models.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    LargeBinary,
    Numeric,
    SQLColumnExpression,
    Text,
    case,
    cast,
    func,
    literal_column,
    null,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from schemas.api.entities import EMPTY_AS_NONE
from schemas.tables.bounded_text import MAX_CHARACTERS
from schemas.tables.open_enum import OpenEnum, label_text

Sql = SQLColumnExpression[Any]

ODD = "<smarttrip odd value>"
"""Stands for a value that needs the models. The same text in a row of the platform costs no more than such a value."""

MANY_DIGITS = "[0-9.]{16}"
"""Regular expression of numbers that readers of JSON may round, or reject."""
MAX_BRACKETS = 100
"""Opening brackets in a column's JSON, and therefore levels of nesting: no reader rejects as many."""


def constant(value: str | int) -> Sql:
    """Return SQL of a constant: as parameters, the many of a statement would be sent with each request."""
    if isinstance(value, int):
        return literal_column(str(value))
    return literal_column("'{}'::text".format(value.replace("'", "''")), Text)


_ODD = constant(ODD)


def is_plain(json: bytes) -> bool:
    """Return whether the JSON can be served as it is: it has no ODD value, and no text that the models would cut."""
    return len(json) <= MAX_CHARACTERS and ODD.encode() not in json


class JsonBytes(ColumnElement[bytes]):
    """The bytes of a JSON expression without parameters. SQLAlchemy finds the compiled statement by the name.

    Its usual key is as long as the expression, and hashed and compared for each request.
    """

    type = LargeBinary()
    _traverse_internals = [("name", InternalTraversal.dp_string)]  # noqa: RUF012  # as in its base

    def __init__(self, name: str, json: Sql) -> None:
        self.name = name
        self.bytes = func.convert_to(cast(json, Text), constant("UTF8"))


@compiles(JsonBytes)
def _compile(element: JsonBytes, compiler: SQLCompiler, **named: Any) -> str:
    return compiler.process(element.bytes, **named)


def json_object(model: type[BaseModel], table: Any, **parts: Sql) -> Sql:
    """Return SQL of the row's JSON object. `parts` are the fields that are not the table's columns as they are."""
    values = [*_values(model, table, parts)]
    required = [column for name in model.model_fields if (column := _required(model, table, name, parts)) is not None]
    return case((func.num_nulls(*required) == constant(0), func.json_build_object(*values)), else_=func.to_json(_ODD))


def optional_object(model: type[BaseModel], table: Any, **parts: Sql) -> Sql:
    """Return SQL of the JSON object of an outer join's row, or null."""
    return case((table.id.is_not(None), json_object(model, table, **parts)), else_=null())


def _values(model: type[BaseModel], table: Any, parts: dict[str, Sql]) -> Iterator[Sql]:
    """Yield names and values of the fields, in turn."""
    for name, field in model.model_fields.items():
        yield constant(field.serialization_alias or name)
        yield parts[name] if name in parts else _shown(getattr(table, name), field)


def _required(model: type[BaseModel], table: Any, name: str, parts: dict[str, Sql]) -> Sql | None:
    """Return the column of a field whose model rejects null."""
    is_optional = type(None) in getattr(model.model_fields[name].annotation, "__args__", ())
    return None if name in parts or is_optional else getattr(table, name)


def _shown(column: Any, field: FieldInfo) -> Sql:
    """Return SQL of the column's value in JSON."""
    kind = column.type
    if isinstance(kind, Numeric):
        return money(column)
    if isinstance(kind, DateTime):
        return _in_time(column, func.to_char(column, constant('YYYY-MM-DD"T"HH24:MI:SS"Z"')))
    if isinstance(kind, Date):
        return _in_time(column, func.to_char(column, constant("YYYY-MM-DD")))
    if isinstance(kind, OpenEnum):
        label = label_text(column)
        names = [(label == constant(member.name), constant(member.value)) for member in kind.members]
        return case(*names, else_=label)
    if isinstance(kind, JSONB):
        return _properties(column)
    return func.nullif(column, constant("")) if EMPTY_AS_NONE in field.metadata else column


def money(amount: Sql) -> Sql:
    """Return SQL of the amount with two decimals; what has more, or is no number, is odd."""
    return case(
        (func.scale(amount) <= constant(2), cast(func.round(amount, constant(2)), Text)),
        (amount.is_(None), null()),
        else_=_ODD,
    )


def _in_time(column: Sql, text: Sql) -> Sql:
    """Return the text of a time or day that Python has."""
    return case((column.between(literal_column("'0001-01-01'"), literal_column("'9999-12-31'")), text), else_=_ODD)


def _properties(column: Sql) -> Sql:
    text = cast(column, Text)
    brackets = func.length(text) - func.length(func.translate(text, constant("[{"), constant("")))
    is_odd = text.regexp_match(constant(MANY_DIGITS)) | (brackets > constant(MAX_BRACKETS))
    is_object = func.jsonb_typeof(column) == constant("object")
    return case((is_odd, func.to_jsonb(_ODD)), (is_object, column), else_=null())
