"""The connection on which a database is probed. It is kept: opening one may take seconds on a busy machine."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import asyncpg
from sqlalchemy import Pool, PoolProxiedConnection
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.util import greenlet_spawn

from core.concurrency.tasks import cancel_and_wait
from core.postgres.driver_connection import PostgresConnection, driver_errors_as_connection_errors

SMALLEST_STATEMENT = "SELECT 1"
SECOND_CONNECTION_SECONDS = 0.25
"""Seconds after which a new connection is tried as well: a firewall may have dropped the one that was kept."""


class ProbeConnection:
    def __init__(self, pool: Pool) -> None:
        """Take connections from this pool, which nobody else uses."""
        self._pool = pool
        self._kept: PoolProxiedConnection | None = None
        self._opened: set[PoolProxiedConnection] = set()
        """All open connections: the one that is kept, and while the server is asked a new one."""
        self._in_use = asyncio.Lock()

    async def ask(self) -> None:
        """Return when the server has responded. Raises: OSError."""
        attempts = [asyncio.create_task(self._ask_new())]
        if self._kept is not None:
            attempts.append(asyncio.create_task(self._ask(self._kept)))
        responded = None
        try:
            for attempt in asyncio.as_completed(attempts):
                with suppress(OSError):
                    responded = await attempt
                    return
            raise ConnectionError("the server does not respond")
        finally:
            await cancel_and_wait(attempts)
            self._keep_only(responded)

    async def fetch(self, statement: str, *, seconds: float) -> list[dict[str, Any]]:
        """Return the rows of a statement; none if no connection is kept. Raises: OSError."""
        if self._kept is None:
            return []
        async with self._in_use:
            with driver_errors_as_connection_errors():
                return [dict(row) for row in await _driver(self._kept).fetch(statement, timeout=seconds)]

    def close(self) -> None:
        self._keep_only(None)

    async def _ask(self, connection: PoolProxiedConnection) -> PoolProxiedConnection:
        async with self._in_use:
            with driver_errors_as_connection_errors():
                await _driver(connection).execute(SMALLEST_STATEMENT)
        return connection

    async def _ask_new(self) -> PoolProxiedConnection | None:
        """Open a connection, unless the server responds on the other one in time; None if it refuses to."""
        if self._kept is not None:
            await asyncio.sleep(SECOND_CONNECTION_SECONDS)
        try:
            connection = await greenlet_spawn(self._pool.connect)
        except AsyncAdapt_asyncpg_dbapi.Error as error:
            if isinstance(error.__cause__, asyncpg.PostgresError):
                # Such as "too many connections": that is a response.
                return None
            raise ConnectionError(str(error)) from error
        self._opened.add(connection)
        return connection

    def _keep_only(self, connection: PoolProxiedConnection | None) -> None:
        for other in self._opened - {connection}:
            other.invalidate()
        self._opened &= {connection}
        self._kept = connection


def _driver(connection: PoolProxiedConnection) -> PostgresConnection:
    return cast(PostgresConnection, connection.driver_connection)
