"""Hears the database say that the outbox has rows. What goes unheard costs time, never a change."""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from indexer import metrics
from schemas.tables import OUTBOX_CHANNEL

log = structlog.get_logger()

KEEPALIVE_SECONDS = 5.0
"""Without a word for so long the connection is tried: one that was cut without a farewell looks merely quiet."""
PATIENCE_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 5.0


class ConnectionLost(Exception):  # noqa: N818  # what happened, not what is wrong
    pass


async def listen(url: str, wake: Callable[[], None]) -> None:
    """Calls `wake` for each notification and whenever some may have been missed. Runs until it is cancelled.

    `url` must reach Postgres directly, past any pooler.
    """
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS, command_timeout=PATIENCE_SECONDS)
            pause = FIRST_PAUSE_SECONDS
            await _hear(connection, wake)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionLost) as error:
            log.warning("listening_interrupted", error=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE_SECONDS)


async def _hear(connection: "asyncpg.Connection[asyncpg.Record]", wake: Callable[[], None]) -> None:
    """Raises when the connection is lost."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    try:
        await connection.add_listener(OUTBOX_CHANNEL, lambda *_: wake())
        metrics.LISTENING.set(1)
        wake()
        while not await _is_set_within(lost, KEEPALIVE_SECONDS):
            await connection.execute("SELECT 1")
        raise ConnectionLost
    finally:
        metrics.LISTENING.set(0)
        connection.terminate()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
