"""Recorder of the SQL statements that requests have an engine send."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy.ext.asyncio import AsyncEngine

from core.postgres.driver_connection import PostgresConnection
from core.request_record import record_var

Statements = list[str]


@contextmanager
def recorded_statements(engine: AsyncEngine) -> Iterator[Statements]:
    """Record what requests send during the block; what the process polls for itself comes at any time."""
    statements: Statements = []
    prepare = PostgresConnection.prepare
    database = engine.url.database

    async def recorded(connection: PostgresConnection, query: str, **named: Any) -> Any:
        # SQLAlchemy, too, has each statement prepared before it is executed, prepared already or not.
        if record_var.get() is not None and connection._params.database == database:  # type: ignore[attr-defined]
            statements.append(query)
        return await prepare(connection, query, **named)

    with patch.object(PostgresConnection, "prepare", recorded):
        yield statements
