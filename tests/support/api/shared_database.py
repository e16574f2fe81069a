"""The API's database on an engine that a test uses as well."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database


@asynccontextmanager
async def database_on(engine: AsyncEngine) -> AsyncIterator[Database]:
    """Yield a database whose end leaves the engine open."""
    database = Database(engine)
    try:
        yield database
    finally:
        await database.stop_checks()
