"""Compare the settings of the Postgres server with what the configured processes need."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.configuration.settings import Settings
from indexer.backends import POOL_SIZE

WORKER_CONNECTIONS = POOL_SIZE + 5
"""Most connections of one worker: its pool, and those of jobs and rebuilds."""
PROBE_CONNECTIONS = 1
"""Connections of an API process besides its pool."""

SERVER = text("""
SELECT pg_is_in_recovery() AS is_standby, current_setting('server_encoding') AS encoding,
  current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true)::integer, 0) AS server_limit,
  (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
  (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit
""")


async def find_server_differences(connection: AsyncConnection, settings: Settings) -> list[str]:
    server = (await connection.execute(SERVER)).one()
    differences = []
    if server.is_standby:
        differences.append("DATABASE_URL leads to a standby of Postgres, which accepts no writes.")
    if server.encoding != "UTF8":
        differences.append(f"The database has the encoding {server.encoding}; it should be UTF8.")
    if not await _is_pooled(connection):
        limits = {
            "max_connections of Postgres": server.server_limit,
            "the connection limit of this role": server.role_limit,
            "the connection limit of this database": server.database_limit,
        }
        differences += _exceeded_limits(limits, settings)
    return differences


async def _is_pooled(connection: AsyncConnection) -> bool:
    """Return whether there is a pooler in between, which shares connections among processes."""
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    return raw.driver_connection.pooled_address is not None


def _exceeded_limits(limits: dict[str, int], settings: Settings) -> Iterator[str]:
    needed = settings.workers * (settings.postgres_connections + PROBE_CONNECTIONS) + WORKER_CONNECTIONS
    for name, limit in limits.items():
        if 0 <= limit < needed:
            yield (
                f"{name[:1].upper()}{name[1:]} leaves {limit} connections; the pools of {settings.workers} API "
                f"processes and a worker may take {needed}. Raise it, or lower WORKERS or POSTGRES_CONNECTIONS."
            )
