"""Random transactions of plain SQL, as other applications write to the tables; some are rolled back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from typing import Any, Self

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

DEADLOCK = "40P01"

UPDATE_TRIP = "UPDATE trip_occurrences SET spots_left = :number, notes = :text WHERE id = :trip"
DELETE_TRIP = "DELETE FROM trip_occurrences WHERE id = :trip"
INSERT_TRIP = (
    "INSERT INTO trip_occurrences (id, trip_template_id, start_date, end_date, spots_left)"
    " VALUES (:trip, :template, DATE '2027-03-01', DATE '2027-03-11', :number)"
    " ON CONFLICT (id) DO UPDATE SET spots_left = :number"
)
MOVE_TRIP = "UPDATE trip_occurrences SET trip_template_id = :template WHERE id = :trip"
UPDATE_TEMPLATE = "UPDATE trip_templates SET title = :text, base_price = :number WHERE id = :template"
UPDATE_COMPANY = "UPDATE companies SET name = :text WHERE id = :company"
UPDATE_TAG = "UPDATE tags SET name = :text WHERE id = :tag"
LINK_TAG = "INSERT INTO trip_template_tags (trip_template_id, tag_id) VALUES (:template, :tag) ON CONFLICT DO NOTHING"
UNLINK_TAG = "DELETE FROM trip_template_tags WHERE trip_template_id = :template AND tag_id = :tag"

CHANGES = {
    UPDATE_TRIP: 8,
    DELETE_TRIP: 4,
    INSERT_TRIP: 4,
    MOVE_TRIP: 2,
    UPDATE_TEMPLATE: 2,
    UPDATE_COMPANY: 1,
    UPDATE_TAG: 1,
    LINK_TAG: 1,
    UNLINK_TAG: 1,
}
"""Relative frequency of each statement."""

POOLS = {
    "trip": ("trip_occurrences", 40),
    "template": ("trip_templates", 10),
    "company": ("companies", 4),
    "tag": ("tags", 4),
}
"""Tables whose rows are written to, and how many of their rows."""


class WriterWorkload:
    """Writes to few rows, so that transactions conflict."""

    def __init__(self, engine: AsyncEngine, seed: int, ids: Mapping[str, Sequence[int]]) -> None:
        self.engine = engine
        self.random = Random(seed)
        self._numbers = count(1)
        self._ids = ids
        self.committed = 0
        """Number of committed transactions."""

    @classmethod
    async def create(cls, engine: AsyncEngine, seed: int) -> Self:
        async with engine.connect() as connection:
            ids = {
                name: (await connection.scalars(text(f"SELECT id FROM {table} ORDER BY id LIMIT {limit}"))).all()
                for name, (table, limit) in POOLS.items()
            }
        return cls(engine, seed, ids)

    async def write(self) -> None:
        """Run one transaction of one to three statements; a deadlock counts as a rollback."""
        statements = self.random.choices(list(CHANGES), list(CHANGES.values()), k=self.random.randint(1, 3))
        try:
            async with self.engine.connect() as connection:
                for statement in statements:
                    await self._execute(connection, statement)
                if self.random.random() < 0.9:
                    await connection.commit()
                    self.committed += 1
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise

    async def _execute(self, connection: AsyncConnection, statement: str) -> None:
        number = next(self._numbers)
        values: dict[str, Any] = {name: self.random.choice(ids) for name, ids in self._ids.items()}
        values |= {"number": number % 100, "text": f"Name {number}"}
        await connection.execute(text(statement), {name: values[name] for name in values if f":{name}" in statement})

    @asynccontextmanager
    async def running(self, *, rate: float = 50.0) -> AsyncIterator[None]:
        """Write `rate` transactions a second for the duration of the block."""
        stopped = asyncio.Event()
        task = asyncio.create_task(self._run(rate, stopped.is_set))
        try:
            yield
        finally:
            stopped.set()
            await task

    async def _run(self, rate: float, is_stopped: Callable[[], bool]) -> None:
        while not is_stopped():
            await self.write()
            await asyncio.sleep(1 / rate)
