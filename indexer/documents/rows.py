"""Read rows of the catalogue by id, with the columns that entities show, in one statement per chunk."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import ARRAY, BigInteger, Select, any_, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase

from schemas.api.entities import Entity

Row = dict[str, Any]
EntityType = TypeVar("EntityType", bound=Entity)

IDS: Any = bindparam("ids", type_=ARRAY(BigInteger))


SNAPSHOT_IDLE_SECONDS = 60.0
"""Seconds a snapshot may be idle: the platform's ALTER TABLE and TRUNCATE wait for it, and others for them."""


@asynccontextmanager
async def snapshot(
    engine: AsyncEngine, *, idle_seconds: float = SNAPSHOT_IDLE_SECONDS
) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction whose statements all see the same snapshot, taken by the first of them.

    Postgres ends it once it is idle for `idle_seconds`, as when this process stands still.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            # SET takes no snapshot.
            await connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{idle_seconds:.0f}s'"))
            yield connection


def select_entity(table: type[DeclarativeBase], entity: type[Entity]) -> Select[Any]:
    """Select the columns that the entity shows, of the rows whose ids are in the parameter IDS."""
    columns = table.__table__.c
    return select(*(columns[name] for name in entity.model_fields if name in columns)).where(columns["id"] == any_(IDS))


async def fetch_rows(connection: AsyncConnection, statement: Select[Any], ids: Iterable[int | None]) -> list[Row]:
    """Return the rows that exist, as dicts; ids that are None are ignored."""
    present_ids = sorted(number for number in ids if number is not None)
    if not present_ids:
        return []
    result = await connection.execute(statement, {"ids": present_ids})
    keys = tuple(result.keys())
    return [dict(zip(keys, row, strict=True)) for row in result]


async def fetch_entities(
    connection: AsyncConnection, statement: Select[Any], entity: type[EntityType], ids: Iterable[int | None]
) -> dict[int | None, EntityType]:
    rows = await fetch_rows(connection, statement, ids)
    return {row["id"]: entity.model_validate(row) for row in rows}
