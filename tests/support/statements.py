"""Recorder of the SQL statements that requests have an engine send."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from core.request_record import record_var

Statements = list[str]


@contextmanager
def recorded_statements(engine: AsyncEngine) -> Iterator[Statements]:
    """Record what requests send during the block; what the process polls for itself comes at any time."""
    statements: Statements = []

    def record(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if record_var.get() is not None:
            statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", record)
