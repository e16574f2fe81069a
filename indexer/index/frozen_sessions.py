"""End sessions whose process stands still between preparing a statement and executing it, as on a frozen machine.

Postgres does not end them. Such a session is not idle in its transaction, and a timeout of its statement takes effect
only once the client goes on. Until then it holds its locks, for which batches, rebuilds and the platform may wait.
"""

import asyncio

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import BACKEND_ERRORS

log = structlog.get_logger()

FROZEN_SECONDS = 20.0
"""Longest time between preparing and executing a statement: a round trip, and whatever delays the event loop."""
CHECK_SECONDS = 5.0

END_FROZEN = text("""
WITH frozen AS MATERIALIZED (
  SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND usename = current_user
    AND application_name = current_setting('application_name')
    AND state = 'active' AND wait_event = 'ClientRead' AND query NOT ILIKE 'copy %'
    AND query_start < clock_timestamp() - make_interval(secs => :seconds)
)
SELECT pid FROM frozen WHERE pg_terminate_backend(pid)
""")
"""Of our own sessions only: an active session that waits for its client has prepared a statement, or reads a COPY.

Materialised, since Postgres may evaluate the conditions of one query in any order.
"""


async def end_frozen_sessions(connection: AsyncConnection, seconds: float) -> list[int]:
    """End our sessions that have been waiting for so long to execute what they prepared; return their process ids."""
    ended = list(await connection.scalars(END_FROZEN, {"seconds": seconds}))
    for pid in ended:
        log.warning("frozen_session_ended", pid=pid)
    return ended


async def end_frozen_sessions_forever(engine: AsyncEngine) -> None:
    """End frozen sessions periodically, until cancelled."""
    while True:
        try:
            async with engine.connect() as connection:
                await end_frozen_sessions(connection, FROZEN_SECONDS)
        except BACKEND_ERRORS as error:
            log.warning("frozen_sessions_unknown", error=type(error).__name__)
        await asyncio.sleep(CHECK_SECONDS)
