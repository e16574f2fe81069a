"""Compare the settings of the Postgres server with what the configured processes need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.configuration.settings import Settings
from indexer.backends import POOL_SIZE

WORKER_CONNECTIONS = POOL_SIZE + 5
"""Most connections of one worker: its pool, and those of jobs and rebuilds."""
PROBE_CONNECTIONS = 2
"""Connections of an API process besides its pool: that of its probes, and while it does not respond a second one."""
NEARLY_ALL = 0.9
"""Part of a limit from which it counts as nearly reached, by whatever processes."""

# Of other roles' sessions an ordinary role sees no backend_type; those of clients have a database.
SERVER = text("""
SELECT pg_is_in_recovery() AS is_standby, current_setting('server_encoding') AS encoding,
  current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true)::integer, 0) AS server_limit,
  (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
  (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
  count(*) AS server_taken,
  count(*) FILTER (WHERE usename = current_user) AS role_taken,
  count(*) FILTER (WHERE datname = current_database()) AS database_taken
FROM pg_stat_activity WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL
""")


@dataclass(frozen=True)
class ConnectionLimit:
    name: str
    limit: int
    """-1 stands for none."""
    taken: int
    """Connections now, of all processes and programs."""


async def find_server_differences(connection: AsyncConnection, settings: Settings) -> list[str]:
    server = (await connection.execute(SERVER)).one()
    differences = []
    if server.is_standby:
        differences.append("DATABASE_URL leads to a standby of Postgres, which accepts no writes.")
    if server.encoding != "UTF8":
        differences.append(f"The database has the encoding {server.encoding}; it should be UTF8.")
    limits = [
        ConnectionLimit("the setting max_connections of Postgres", server.server_limit, server.server_taken),
        ConnectionLimit("the connection limit of this role", server.role_limit, server.role_taken),
        ConnectionLimit("the connection limit of this database", server.database_limit, server.database_taken),
    ]
    differences += _nearly_reached(limits)
    if not await _is_pooled(connection):
        differences += _exceeded(limits, settings)
    return differences


async def _is_pooled(connection: AsyncConnection) -> bool:
    """Return whether there is a pooler in between, which shares connections among processes."""
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    return raw.driver_connection.pooled_address is not None


def _nearly_reached(limits: Iterable[ConnectionLimit]) -> Iterator[str]:
    for each in limits:
        if each.limit >= 0 and each.taken >= NEARLY_ALL * each.limit:
            yield (
                f"Of the {each.limit} connections that {each.name} leaves, {each.taken} are taken; beyond it new ones"
                " are rejected. Raise it, or lower WORKERS or POSTGRES_CONNECTIONS, or what other programs take."
            )


def _exceeded(limits: Iterable[ConnectionLimit], settings: Settings) -> Iterator[str]:
    needed = settings.workers * (settings.postgres_connections + PROBE_CONNECTIONS) + WORKER_CONNECTIONS
    for each in limits:
        if 0 <= each.limit < needed:
            yield (
                f"{each.name[:1].upper()}{each.name[1:]} leaves {each.limit} connections; the pools of"
                f" {settings.workers} API processes and a worker may take {needed}. Raise it, or lower WORKERS or"
                " POSTGRES_CONNECTIONS."
            )
