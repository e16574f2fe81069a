"""Back to the index that was in use before the last reindex; it has been kept up to date."""

from core import clients
from core.settings import Settings
from indexer.backends import open_stores
from indexer.errors import NoPreviousIndex
from indexer.index import admin, targets
from indexer.index.reconcile import builder, foreign
from indexer.index.targets import State
from indexer.invalidation import announce_everything


async def rollback(settings: Settings) -> str:
    """Answers the name of the index now in use; the other one is kept, so that a second rollback undoes the first.

    Raises ReindexRunning and NoPreviousIndex.
    """
    async with open_stores(settings) as stores, builder(settings) as connection:
        es = stores.elasticsearch
        live = await admin.behind_alias(es, stores.alias)
        async with connection.begin():
            await targets.keep_batches_out(connection)
            known = [target for target in await targets.read_targets(connection) if target.ours]
            previous = next((target.name for target in known if target.state is State.PREVIOUS), None)
            if live is None or previous is None or await foreign(stores, previous):
                raise NoPreviousIndex
            await es.indices.refresh(index=previous)
            await targets.mark(connection, live, State.PREVIOUS)
            await targets.mark(connection, previous, State.LIVE)
            await admin.swap(es, stores.alias, live, previous)
    async with clients.redis(settings.redis_url, timeout=settings.redis_seconds) as redis:
        await announce_everything(redis)
    return previous
