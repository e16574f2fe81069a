"""Optional columns that the platform has dropped or renamed are read as NULL, until they are back."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from sqlalchemy import Column, ColumnClause, ColumnElement, text
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import BACKEND_ERRORS
from core.tasks import cancel_and_wait
from schemas.tables import SCHEMA, Base

log = structlog.get_logger()

CHECK_SECONDS = 10.0
"""Shortest time between two checks, and longest time for which a column that is back is still read as NULL."""

EXISTING = text("""
SELECT name, attname FROM unnest(CAST(:tables AS text[])) AS name
JOIN pg_attribute ON attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped
""")

OVERRIDE = "_override"
"""End of the names of columns that replace a value of the template: without them another value would be shown."""


def is_optional(column: Column[Any]) -> bool:
    """Return whether a response may show NULL instead of the column's values, and nothing else follows from them."""
    return bool(column.nullable) and not column.foreign_keys and not column.name.endswith(OVERRIDE)


class MissingColumns:
    """Which of the platform's columns the database lacks."""

    def __init__(self, primary: AsyncEngine, replicas: Sequence[AsyncEngine] = ()) -> None:
        self._primary = primary
        self._engines = (primary, *replicas)
        self._missing: frozenset[Column[Any]] = frozenset()
        self._checked_at = -CHECK_SECONDS
        self._checking: asyncio.Task[None] | None = None
        for engine in self._engines:
            compiler = type("Compiler", (_Compiler,), {"missing": self})
            engine.sync_engine.dialect.statement_compiler = compiler

    def is_read_as_null(self, bases: Iterable[ColumnElement[Any]]) -> bool:
        return any(base in self._missing and is_optional(base) for base in bases if isinstance(base, Column))

    def request_check(self) -> None:
        """Find out in the background which columns are missing: a statement has failed for one."""
        due = time.monotonic() >= self._checked_at + CHECK_SECONDS
        if due and (self._checking is None or self._checking.done()):
            self._checked_at = time.monotonic()
            self._checking = asyncio.create_task(self._check())

    def check_again(self) -> None:
        """Find out whether columns that were missing are back."""
        if self._missing:
            self.request_check()

    async def close(self) -> None:
        if self._checking is not None:
            await cancel_and_wait([self._checking])

    async def _check(self) -> None:
        try:
            missing = await self._read_missing()
        except BACKEND_ERRORS as error:
            log.warning("columns_not_checked", error=type(error).__name__)
            return
        if missing != self._missing:
            self._missing = missing
            names = sorted(f"{column.table.name}.{column.name}" for column in missing)
            log.error("columns_missing", columns=names)
            for engine in self._engines:
                engine.clear_compiled_cache()

    async def _read_missing(self) -> frozenset[Column[Any]]:
        tables = {table.name: table for table in Base.metadata.sorted_tables if table.schema != SCHEMA}
        async with self._primary.connect() as connection:
            rows = (await connection.execute(EXISTING, {"tables": list(tables)})).all()
        found = {(name, column) for name, column in rows}
        return frozenset(
            column
            for name in {name for name, _ in found}
            for column in tables[name].columns
            if (name, column.name) not in found
        )


class _Compiler(PGCompiler_asyncpg):
    missing: MissingColumns

    def visit_column(self, column: ColumnClause[Any], *arguments: Any, **named: Any) -> str:
        """Render a column; where rows are selected, render NULL instead of one that is missing and optional."""
        rendered = super().visit_column(column, *arguments, **named)
        if not named.get("within_columns_clause") or not self.missing.is_read_as_null(column.base_columns):
            return rendered
        return f"CAST(NULL AS {self.dialect.type_compiler_instance.process(column.type)})"
