"""What is kept only for a while."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from core.settings import Settings
from indexer.backends import open_backends
from indexer.index import admin, targets
from indexer.index.reconcile import rebuild_connection, reconcile
from indexer.index.targets import TargetState
from schemas.tables import DeadLetter

DEAD_LETTER_DAYS = 30
DEAD_LETTERS = 10_000


async def drop_expired_previous_index(settings: Settings) -> list[str]:
    """The index kept for a rollback, once the one in use has proved itself. Raises ReindexRunning."""
    async with open_backends(settings) as stores, rebuild_connection(settings) as connection:
        # What Postgres takes for the previous one may be in use, if a rollback was killed.
        await reconcile(connection, stores)
        async with connection.begin():
            known = await targets.read_targets(connection)
            proved = datetime.now(UTC) - timedelta(hours=settings.index_keep_hours)
            if not any(target.state is TargetState.LIVE and target.created_at < proved for target in known):
                return []
            names = [target.name for target in known if target.state is TargetState.PREVIOUS]
            await targets.remove(connection, names)
        await admin.drop(stores.elasticsearch, names)
    return names


async def purge_dead_letters(settings: Settings) -> int:
    """Old ones, and the oldest where there are very many; answers how many."""
    newest = select(DeadLetter.id).order_by(DeadLetter.id.desc())
    first_too_many = newest.offset(DEAD_LETTERS).limit(1).scalar_subquery()
    too_old = DeadLetter.died_at < datetime.now(UTC) - timedelta(days=DEAD_LETTER_DAYS)
    async with open_backends(settings) as stores, stores.postgres.begin() as connection:
        return (
            await connection.execute(delete(DeadLetter).where(too_old | (DeadLetter.id <= first_too_many)))
        ).rowcount
