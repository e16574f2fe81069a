"""Remove what is retained for a limited time: previous indexes, those of other releases, and dead letters."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.configuration.settings import Settings
from core.postgres.retention import remove_expired
from indexer.backends import open_backends
from indexer.index import admin, outbox, targets
from indexer.index.reconcile import rebuild_connection, reconcile, restore_public_alias
from indexer.index.targets import TargetState
from indexer.jobs.names import TIDY
from schemas.tables import DeadLetter, JobRun

log = structlog.get_logger()

DEAD_LETTER_DAYS = 30
MAX_DEAD_LETTERS = 10_000

SHORTEST_RETENTION = timedelta(minutes=5)
"""Time that an index of another document version is retained at least: its worker may just be restarting."""

LONGEST_STEP = timedelta(hours=2)
"""Time that ages of indexes grow at most between two runs of the hourly job, so that a jump of the clock drops none."""


async def _now(connection: AsyncConnection) -> datetime:
    """Return the time by the clock of Postgres, but not much later than the last run of the job by that clock."""
    last_run = select(JobRun.succeeded_at).where(JobRun.name == TIDY).scalar_subquery()
    now: datetime = (await connection.execute(select(func.least(func.now(), last_run + LONGEST_STEP)))).scalar_one()
    return now


async def drop_expired_previous_index(settings: Settings) -> list[str]:
    """Drop the index that is retained for a rollback once the live one was in use for long enough; return its name.

    Raises: ReindexRunningError.
    """
    async with open_backends(settings) as backends, rebuild_connection(settings) as connection:
        # After a killed rollback the index that is registered as the previous one may be live.
        await reconcile(connection, backends)
        async with connection.begin():
            known = [target for target in await targets.read_targets(connection) if target.is_compatible]
            proved = await _now(connection) - timedelta(hours=settings.index_keep_hours)
            if not any(target.state is TargetState.LIVE and target.state_since < proved for target in known):
                return []
            names = [target.name for target in known if target.state is TargetState.PREVIOUS]
            await targets.remove(connection, names)
        await admin.drop(backends.elasticsearch, names)
    return names


async def drop_unfed_indices(settings: Settings) -> list[str]:
    """Drop indexes of other document versions that no worker has fed for INDEX_KEEP_HOURS; return their names.

    Copies of changes that nobody will claim are removed, too. Raises: ReindexRunningError.
    """
    retention = max(timedelta(hours=settings.index_keep_hours), SHORTEST_RETENTION)
    async with open_backends(settings) as backends, rebuild_connection(settings) as connection:
        async with connection.begin():
            unfed = await _now(connection) - retention
            known = await targets.read_targets(connection)
            names = [target.name for target in known if not target.is_compatible and target.fed_at < unfed]
            await targets.remove(connection, names)
        await admin.drop(backends.elasticsearch, names)
        async with connection.begin():
            await outbox.purge_copies(connection)
        if names:
            log.info("indices_dropped", names=names)
            await restore_public_alias(backends)
    return names


async def purge_dead_letters(settings: Settings, max_count: int = MAX_DEAD_LETTERS) -> int:
    """Delete dead letters that are too old, and the oldest beyond `max_count`; return the number of deleted ones."""
    newest = select(DeadLetter.id).order_by(DeadLetter.id.desc())
    first_too_many = newest.offset(max_count).limit(1).scalar_subquery()
    async with open_backends(settings) as backends:
        expired = await remove_expired(backends.postgres, DeadLetter.died_at, DEAD_LETTER_DAYS)
        async with backends.postgres.begin() as connection:
            surplus = await connection.execute(delete(DeadLetter).where(DeadLetter.id <= first_too_many))
    return expired + surplus.rowcount
