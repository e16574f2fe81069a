"""A connection of asyncpg that keeps statements, brings settings along, and says by its errors what broke."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from asyncpg.transaction import Transaction
from cachetools import LRUCache

from core.configuration.postgres_url import PostgresAddress
from core.postgres.session_settings import begin_script

CLOSE_SECONDS = 0.25
"""Seconds that a server has to close a connection."""


NOT_KEPT = "/* not kept */"
"""Comment after the first word of a statement that is seldom repeated: no connection keeps it prepared."""

NOT_KEPT_WITHIN = 40
"""Characters of a statement in which NOT_KEPT is looked for."""


class SingleStatements(Transaction):
    """Takes the place of a transaction, without its two round trips: each statement is one by itself."""

    async def start(self) -> None: ...

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...


class ClosingTransaction(Transaction):
    """Closes its connection if it cannot begin: the driver would make the next transaction a savepoint of this one."""

    async def start(self) -> None:
        try:
            await super().start()
        except BaseException:
            self._connection.terminate()  # type: ignore[attr-defined]  # of asyncpg
            raise


class PostgresConnection(asyncpg.Connection):
    """A connection that raises ConnectionError when it breaks during its set-up, as when it cannot connect at all."""

    pooled_address: PostgresAddress | None = None
    """The address if there is a pooler in between: each transaction then has to bring its settings along."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._kept: LRUCache[str, PreparedStatement[Any]] = LRUCache(0)
        self._numbers = count()

    def keep_statements(self, number: int) -> None:
        """Keep so many prepared statements, those that were used last, for their next use.

        A pooler in transaction mode may use another server connection for each transaction, so none is kept there.
        """
        if self.pooled_address is None:
            self._kept = LRUCache(number)

    async def prepare(self, query: str, **named: Any) -> "PreparedStatement[Any]":
        if not self._kept.maxsize or NOT_KEPT in query[:NOT_KEPT_WITHIN]:
            statement: PreparedStatement[Any] = await super().prepare(query, **named)
            return statement
        if query not in self._kept:
            # One without a name would be parsed for each use.
            self._kept[query] = await super().prepare(query, name=f"smarttrip_{next(self._numbers)}")
        return self._kept[query]

    async def reload_schema_state(self) -> None:
        """Forget what is known of types, and statements whose results may have other types now."""
        self._kept.clear()
        await super().reload_schema_state()

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """Return a transaction; of a read-only one, each statement would see what is committed by then, as without.

        Behind a pooler, a transaction is what brings the settings along.
        """
        if readonly and isolation is None and self.pooled_address is None:
            return SingleStatements(self, isolation, readonly, deferrable)
        return ClosingTransaction(self, isolation, readonly, deferrable)

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # of asyncpg
        """Close, without waiting long for a server that does not respond: the connection is dropped then."""
        # A pool would log the timeout as an error with a traceback, though nothing is lost.
        with suppress(TimeoutError):
            await super().close(timeout=CLOSE_SECONDS if timeout is None else min(timeout, CLOSE_SECONDS))

    async def set_type_codec(self, *arguments: Any, **named: Any) -> None:
        """Set a codec; SQLAlchemy does this for each new connection and does not map errors of asyncpg.

        Raises: ConnectionError.
        """
        with driver_errors_as_connection_errors():
            await super().set_type_codec(*arguments, **named)

    async def execute(self, query: str, *arguments: Any, **named: Any) -> str:
        """Execute a statement. Behind a pooler, a BEGIN is followed by the settings that the transaction relies on."""
        if self.pooled_address is not None and query.startswith("BEGIN"):
            status = self.get_settings()
            query = begin_script(
                query,
                self.get_server_version().major,
                self.pooled_address.session_settings,
                read_write=getattr(status, "default_transaction_read_only", "off") == "on"
                and getattr(status, "in_hot_standby", "off") == "off",
            )
        return await super().execute(query, *arguments, **named)


@contextmanager
def driver_errors_as_connection_errors() -> Iterator[None]:
    """Raise a ConnectionError in place of an error of asyncpg in the block."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConnectionError(str(error)) from error
