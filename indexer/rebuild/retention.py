"""Remove what is retained for a limited time: the previous index and dead letters."""

from datetime import timedelta

from sqlalchemy import delete, func, select

from core.retention import remove_expired
from core.settings import Settings
from indexer.backends import open_backends
from indexer.index import admin, targets
from indexer.index.reconcile import rebuild_connection, reconcile
from indexer.index.targets import TargetState
from schemas.tables import DeadLetter

DEAD_LETTER_DAYS = 30
MAX_DEAD_LETTERS = 10_000


async def drop_expired_previous_index(settings: Settings) -> list[str]:
    """Drop the index that is retained for a rollback once the live one was in use for long enough; return its name.

    Raises: ReindexRunningError.
    """
    async with open_backends(settings) as backends, rebuild_connection(settings) as connection:
        # After a killed rollback the index that is registered as the previous one may be live.
        await reconcile(connection, backends)
        async with connection.begin():
            known = await targets.read_targets(connection)
            now = (await connection.execute(select(func.now()))).scalar_one()
            proved = now - timedelta(hours=settings.index_keep_hours)
            if not any(target.state is TargetState.LIVE and target.state_since < proved for target in known):
                return []
            names = [target.name for target in known if target.state is TargetState.PREVIOUS]
            await targets.remove(connection, names)
        await admin.drop(backends.elasticsearch, names)
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
