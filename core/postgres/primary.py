"""The primary among several hosts that accept writes.

An old primary that comes back after a failover accepts writes, too, and lacks those of the new one. A standby begins a
new timeline when it is promoted, so the primary is the host with the highest one.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from asyncpg.exceptions import TargetServerAttributeNotMatched

log = structlog.get_logger()

TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer"
"""SQL of the timeline that a primary writes."""
QUERY = f"SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE {TIMELINE} END"  # a constant
HOST_SECONDS = 1.0
"""Time that a host has to say its timeline."""

Place = dict[str, Any]
"""Host and port, as asyncpg.connect takes them."""


async def order_by_timeline(places: Sequence[Place], arguments: dict[str, Any]) -> Sequence[Place]:
    """Return the hosts, the primary first, without those that accept writes on an older timeline.

    `arguments` are further ones of asyncpg.connect.
    """
    timelines = await asyncio.gather(*(_timeline({**arguments, **place}) for place in places))
    latest = max(timelines)
    outdated = [place["host"] for place, found in zip(places, timelines, strict=True) if 0 < found < latest]
    if outdated:
        log.warning("old_primary_left_out", hosts=outdated, timeline=latest)
    first = [place for place, found in zip(places, timelines, strict=True) if found == latest]
    return [*first, *(place for place, found in zip(places, timelines, strict=True) if found == 0 and latest)]


async def _timeline(arguments: dict[str, Any]) -> int:
    """Return the timeline of a host that accepts writes, otherwise 0."""
    try:
        async with asyncio.timeout(HOST_SECONDS):
            connection = await asyncpg.connect(**arguments)
            try:
                return int(await connection.fetchval(QUERY))
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TargetServerAttributeNotMatched):
        return 0
