"""One transaction on the database of the settings, for commands that need no more."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from scripts.commands.settings import load_command_settings
from scripts.interrupts import run_cancellable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Result = TypeVar("Result")


def in_postgres(work: Callable[["AsyncConnection"], Awaitable[Result]]) -> Result:
    """Run `work` in one transaction on the database of the settings, and return its result."""
    return run_cancellable(_in_transaction(work))


async def _in_transaction(work: Callable[["AsyncConnection"], Awaitable[Result]]) -> Result:
    from core import clients

    engine = clients.postgres(load_command_settings().database_url)
    try:
        async with engine.begin() as connection:
            return await work(connection)
    finally:
        await engine.dispose()
