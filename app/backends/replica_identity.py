"""Whether a server is a replica of the primary: the same cluster and database, and not ahead of it; how far behind."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

STATE_QUERY = text(
    "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,"
    " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,"
    " pg_postmaster_start_time() AS started_at,"
    " pg_is_in_recovery() AS is_standby,"
    " (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
    " - '0/0'::pg_lsn)::bigint AS position,"
    " clock_timestamp() AS clock,"
    " pg_last_xact_replay_timestamp() AS replayed_at,"
    # A replica without a WAL receiver gets no changes, even if it has replayed all that it received.
    " coalesce(pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn(), false)"
    " AND EXISTS (SELECT FROM pg_stat_wal_receiver) AS has_replayed_all"
)


@dataclass(frozen=True)
class ServerState:
    system: str
    """Identifier that a cluster shares with its physical replicas."""
    database: int
    started_at: datetime
    is_standby: bool
    position: int | None
    """Position in the write-ahead log: of the last write, or of the last write replayed."""
    clock: datetime
    """Time by the server's own clock."""
    replayed_at: datetime | None
    """Time of the last change that a standby has replayed, by the clock of the primary that made it."""
    has_replayed_all: bool
    """Whether a standby receives changes and has replayed them."""


async def read_state(connection: AsyncConnection) -> ServerState:
    return ServerState(*(await connection.execute(STATE_QUERY)).one())


def find_mismatch(replica: ServerState, primary: ServerState | None, *, same_moment: bool) -> str | None:
    """Return why the server must not be read instead of the primary, or None.

    `primary` is its last known state; positions are compared if it was read after the replica's (`same_moment`).
    """
    if primary is None:
        return "the primary has not been reached yet"
    if replica.system != primary.system:
        return "another cluster"
    if replica.database != primary.database:
        return "another database"
    # Another way to the primary itself, such as a pooler, is fine.
    if not replica.is_standby and replica.started_at != primary.started_at:
        return "no standby: promoted, or a copy"
    if same_moment and replica.position is not None and replica.position > (primary.position or 0):
        return "ahead of the primary: a standby of another timeline"
    return None


def find_lag(replica: ServerState, primary_clock: datetime) -> timedelta:
    """Return how far the server is behind the primary, by the clock of the primary alone."""
    if not replica.is_standby or replica.has_replayed_all:
        return timedelta()
    if replica.replayed_at is None:
        return timedelta.max
    return max(timedelta(), primary_clock - replica.replayed_at)
