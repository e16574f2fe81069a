"""Columns of the platform that are not as our tables declare them.

Optional ones that were dropped or renamed are read as NULL until they are back. Those of another type are converted
value by value wherever a statement names them: what cannot be is NULL or no number, so that it costs its row at most.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnClause,
    Date,
    DateTime,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.selectable import Alias
from sqlalchemy.types import TypeEngine

from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from core.postgres.session_settings import quote
from schemas.tables import SCHEMA, Base
from schemas.tables.bounded_text import BoundedString, BoundedText
from schemas.tables.conversions import conversion_function
from schemas.tables.open_enum import OpenEnum

log = structlog.get_logger()

CHECK_SECONDS = 10.0
"""Seconds between two checks, and longest time for which a column is read as it was before a change."""
DEFAULT_ZONE: str = Settings.model_fields["timezone"].default
SECONDS = 1.0
"""Longest time that a check takes: a start waits for it."""
AGAIN_SECONDS = 1.0
"""Shortest time between two checks, however many statements fail."""

EXISTING = text("""
SELECT name, attname,
    CASE WHEN typtype = 'e' THEN 'enum' ELSE format_type(coalesce(nullif(typbasetype, 0), atttypid), NULL) END
FROM unnest(CAST(:tables AS text[])) AS name
JOIN pg_attribute ON attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped
JOIN pg_type ON pg_type.oid = atttypid
""")

OVERRIDE = "_override"
"""End of the names of columns that replace a value of the template: without them another value would be shown."""

WITH_TIME_ZONE = "timestamp with time zone"
CHARACTER = '"char"'
"""Postgres's type of one byte, as it spells it."""
INTEGERS = ("bigint", "integer", "smallint")
TEXTS = ("text", "character varying")
READABLE: Sequence[tuple[type[TypeEngine[Any]] | tuple[type[TypeEngine[Any]], ...], Sequence[str]]] = (
    (OpenEnum, (*TEXTS, "enum")),
    ((BoundedString, BoundedText, String, Text), TEXTS),
    (Integer, INTEGERS),
    (Numeric, ("numeric",)),
    (Boolean, ("boolean",)),
    (Date, ("date",)),
    (JSONB, ("jsonb",)),
    (Uuid, ("uuid",)),
)
"""Types of Postgres that our types read as they are; another is converted to the first of them."""


def readable_types(expected: TypeEngine[Any]) -> Sequence[str]:
    """Return types of Postgres that our type reads as they are; none if its columns are not converted."""
    if isinstance(expected, DateTime):
        return (WITH_TIME_ZONE if expected.timezone else "timestamp without time zone",)
    if isinstance(expected, ARRAY):
        items = readable_types(expected.item_type)
        return [f"{item}[]" for item in (("integer", *items) if items == INTEGERS else items)]
    return next((types for kind, types in READABLE if isinstance(expected, kind)), ())


def is_optional(column: Column[Any]) -> bool:
    """Return whether a response may show NULL instead of the column's values, and nothing else follows from them."""
    return bool(column.nullable) and not column.foreign_keys and not column.name.endswith(OVERRIDE)


def is_day_of_time(expected: TypeEngine[Any], found: str) -> bool:
    """Return whether days are read from times, so that they depend on the time zone."""
    return isinstance(expected, Date) and found == WITH_TIME_ZONE


def conversion(expected: TypeEngine[Any], found: str, sql: str, zone: str) -> str:
    """Return SQL that converts a column, whose type is `found`, to what our type reads."""
    target = readable_types(expected)[0]
    as_text = f"CAST({sql} AS TEXT)"
    if target == "text":
        return as_text
    if is_day_of_time(expected, found):
        # A day of the platform begins at midnight in its own time zone.
        return f"CAST({sql} AT TIME ZONE {quote(zone)} AS DATE)"
    # Postgres casts a character to an integer, the number of its code, and to no other number.
    is_digit = found == CHARACTER and expected.__visit_name__ != Integer.__visit_name__
    return f"{conversion_function(target)}({as_text if is_digit else sql})"


@dataclass(frozen=True)
class Differences:
    missing: frozenset[Column[Any]] = frozenset()
    converted: Mapping[Column[Any], str] = field(default_factory=dict)
    """Type in Postgres of each column that has to be converted."""
    missing_tables: frozenset[str] = frozenset()
    zone: str = ""
    """Time zone in which days begin, if any are read from times."""

    def __str__(self) -> str:
        found = dict.fromkeys([*self.missing_tables, *map(str, self.missing)], "missing")
        found |= {str(column): type_name for column, type_name in self.converted.items()}
        if self.zone:
            found |= {"days": f"in {self.zone}"}
        return ", ".join(sorted(f"{name} {state}" for name, state in found.items()))

    @property
    def are_disabling(self) -> bool:
        """Whether something is missing that statements cannot do without."""
        return bool(self.missing_tables) or not all(map(is_optional, self.missing))


class PlatformColumns:
    """How the platform's columns differ from our tables; the engines' statements do without and convert them."""

    def __init__(self, primary: AsyncEngine, replicas: Sequence[AsyncEngine] = (), *, zone: str = DEFAULT_ZONE) -> None:
        """`zone` is the time zone in which a day of the platform begins."""
        self._primary = primary
        self._zone = zone
        self._engines = (primary, *replicas)
        self.differences = Differences()
        self.on_change: Callable[[], Awaitable[object]] | None = None
        """Called after a comparison in the background that found another difference than before."""
        self._checked_at = time.monotonic()
        self._timer: asyncio.Handle | None = None
        """Starts the next comparison."""
        self._due = math.inf
        """When it does, in the time of the loop; uvloop's handles do not tell."""
        self._checking: asyncio.Task[None] | None = None
        for engine in self._engines:
            compiler = type("Compiler", (_Compiler,), {"platform": self})
            engine.sync_engine.dialect.statement_compiler = compiler

    def check_soon(self, *, after: float | None = None) -> None:
        """Compare in the background once the last comparison began `after` seconds ago, by default CHECK_SECONDS.

        What is read before it is due is outdated then, if something changed.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, self._checked_at + (CHECK_SECONDS if after is None else after) - time.monotonic())
        if due < self._due:
            self._cancel_timer()
            self._due = due
            # Not in the context of the request that asks: it is not part of that request's record, logs and trace.
            self._timer = loop.call_at(due, self._start_check, context=Context())

    def _start_check(self) -> None:
        self._due = math.inf
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check_in_background())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def check(self) -> bool:
        """Compare now, and return whether something differs in another way than before."""
        self._checked_at = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._compare()
        except BACKEND_ERRORS as error:
            log.warning("columns_not_checked", error=type(error).__name__)
            return False
        before, self.differences = self.differences, found
        if found == before:
            return False
        if found == Differences():
            log.info("columns_as_declared", before=str(before))
        if found.missing_tables - before.missing_tables:
            log.error("tables_missing", tables=sorted(found.missing_tables))
        if found.missing and found.missing != before.missing:
            log.error("columns_missing", columns=sorted(map(str, found.missing)))
        if found.converted and found.converted != before.converted:
            log.error("columns_converted", columns={str(column): name for column, name in found.converted.items()})
        for engine in self._engines:
            engine.clear_compiled_cache()
        return True

    async def _check_in_background(self) -> None:
        if await self.check() and self.on_change is not None:
            await self.on_change()

    async def close(self) -> None:
        self._cancel_timer()
        if self._checking is not None:
            await cancel_and_wait([self._checking])

    async def _compare(self) -> Differences:
        tables = {table.name: table for table in Base.metadata.sorted_tables if table.schema != SCHEMA}
        async with self._primary.connect() as connection:
            rows = (await connection.execute(EXISTING, {"tables": list(tables)})).all()
        types = {(name, column): type_name for name, column, type_name in rows}
        existing = {name for name, _ in types}
        columns = [column for name in existing for column in tables[name].columns]
        found = {column: types.get((column.table.name, column.name)) for column in columns}
        converted = {
            column: type_name
            for column, type_name in found.items()
            if type_name is not None and (readable := readable_types(column.type)) and type_name not in readable
        }
        has_zone = any(is_day_of_time(column.type, type_name) for column, type_name in converted.items())
        return Differences(
            missing_tables=frozenset(tables.keys() - existing),
            missing=frozenset(column for column, type_name in found.items() if type_name is None),
            converted=converted,
            zone=self._zone if has_zone else "",
        )


class _Compiler(PGCompiler_asyncpg):
    platform: PlatformColumns

    def visit_column(self, column: ColumnClause[Any], *arguments: Any, **named: Any) -> str:
        """Render a column of the platform, or what stands for one that is missing or of another type."""
        rendered = super().visit_column(column, *arguments, **named)
        replaced = self._replace(column, rendered, selected=bool(named.get("within_columns_clause")))
        if replaced is None:
            return rendered
        if named.get("within_columns_clause") and not named.get("within_label_clause"):
            return f"{replaced} AS {self.preparer.quote(column.name)}"
        return replaced

    def _replace(self, column: ColumnClause[Any], rendered: str, *, selected: bool) -> str | None:
        differences = self.platform.differences
        # A column of a subquery was replaced in the subquery.
        if not (differences.missing or differences.converted) or not isinstance(column.table, Table | Alias):
            return None
        declared = next((base for base in column.base_columns if isinstance(base, Column)), None)
        if declared is None:
            return None
        if declared in differences.converted:
            return conversion(declared.type, differences.converted[declared], rendered, differences.zone)
        if selected and declared in differences.missing and is_optional(declared):
            return f"CAST(NULL AS {self.dialect.type_compiler_instance.process(declared.type)})"
        return None
