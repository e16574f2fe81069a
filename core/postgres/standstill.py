"""Bound a transaction whose process stands still, as on a frozen machine: others wait for its locks."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

STANDSTILL_TIMEOUTS = ("idle_in_transaction_session_timeout", "statement_timeout")
"""Settings of Postgres. The driver prepares a statement, and executes it when it has the response: in between, the
transaction is not idle, and the statement's own timeout alone ends it."""


async def limit_standstill(connection: AsyncConnection, seconds: float) -> None:
    """Have Postgres end this transaction once nothing is heard of it, or one statement takes, for so long.

    It takes no snapshot.
    """
    for name in STANDSTILL_TIMEOUTS:
        await connection.execute(text(f"SET LOCAL {name} = {seconds * 1000:.0f}"))
