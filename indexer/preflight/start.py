"""The preflight at the start of a process: what cannot work is refused, what is degraded is logged."""

import asyncio

import structlog
from asyncpg import PostgresError

from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from indexer.index.direct_url import check_same_database_if_reachable
from indexer.index.ownership import check_installation
from indexer.preflight.comparison import PARTS, compare, database_connection
from migrations.errors import MigrationError
from migrations.inspection import find_obstacles
from migrations.revision import check_revision

log = structlog.get_logger()


async def refuse_unusable(settings: Settings) -> None:
    """Return if the release can work with these servers, as far as they can be reached now.

    Raises: DirectUrlMismatchError, MigrationError if the database is not migrated or our tables cannot be used,
    IndexOwnedError or RedisOwnedError if another installation has the names of the settings.
    """
    await check_same_database_if_reachable(settings)
    await check_revision(settings.database_url, connect_seconds=settings.postgres_connect_seconds)
    await _check_obstacles(settings)
    await check_installation(settings)


async def log_differences(settings: Settings) -> None:
    """Log what differs from what the release needs."""
    found = await asyncio.gather(*(compare(settings, part) for part in PARTS))
    for part, differences in zip(PARTS, found, strict=True):
        for difference in differences or ():
            log.warning("server_differs", part=part, difference=difference)


async def _check_obstacles(settings: Settings) -> None:
    try:
        async with database_connection(settings) as connection:
            obstacles = await connection.run_sync(find_obstacles)
    except (PostgresError, *BACKEND_ERRORS):
        # It is logged by the comparison.
        return
    if obstacles:
        raise MigrationError(" ".join(obstacles))
