"""Revisions of the database: adopted tables, outbox, triggers, indexes.

The platform writes to the database during a migration, so no step may hold a lock for longer than a moment: every
step commits by itself, stops waiting for a lock after LOCK_TIMEOUT and tries again, and may be repeated.
"""

# ruff: noqa: PLC0415 -- processes that check the database only import this package as well, without Alembic.

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from core import clients
from migrations.errors import MigrationError
from migrations.index_steps import create_missing
from migrations.inspection import OWN_INDEXES, PLATFORM_INDEXES
from migrations.preflight import check_database
from migrations.role_path import keep_schema_off_path

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["MigrationError", "downgrade", "upgrade"]

ONE_AT_A_TIME = 0x736D61727474726
"""Key of the advisory lock that a migration holds."""
LOCK_POLL = 0.2


def upgrade(url: str, revision: str = "head") -> None:
    """Apply the revisions up to this one.

    Raises:
        MigrationError: the database cannot be migrated as it is, or writers hold a lock for too long.
    """
    asyncio.run(_migrate(url, lambda config: _upgrade(config, revision)))


def downgrade(url: str, revision: str = "base") -> None:
    """Remove what we added; the platform's own tables and rows stay. Raises MigrationError."""
    from alembic import command

    asyncio.run(_migrate(url, lambda config: command.downgrade(config, revision)))


async def _migrate(url: str, step: Callable[["Config"], None]) -> None:
    engine = clients.postgres_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync_connection: _take_turn(sync_connection, step))


def _take_turn(connection: Connection, step: Callable[["Config"], None]) -> None:
    """Run the step once the lock is free.

    Polled: a statement that waits in Postgres would block the index builds of the migration that holds the lock.
    """
    attempt = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=ONE_AT_A_TIME)
    while not connection.scalar(attempt):
        time.sleep(LOCK_POLL)
    step(_config(connection))


def _upgrade(config: "Config", revision: str) -> None:
    from alembic import command

    connection: Connection = config.attributes["connection"]
    check_database(connection)
    keep_schema_off_path(connection)
    command.upgrade(config, revision)
    if revision == "head":
        create_missing(connection, PLATFORM_INDEXES)
        for index in OWN_INDEXES:
            index.create(connection, checkfirst=True)


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
