"""Rollback: make the index live that was live before the last reindex. It has been written to ever since."""

from core import clients
from core.settings import Settings
from indexer.backends import open_backends
from indexer.errors import NoPreviousIndexError
from indexer.index import admin, locks, targets
from indexer.index.reconcile import check_origin, rebuild_connection
from indexer.index.targets import TargetState
from indexer.invalidation import publish_all_changed


async def rollback(settings: Settings) -> str:
    """Swap the live and the previous index; return the name of the live one. A second rollback undoes the first.

    Raises: ReindexRunningError, NoPreviousIndexError.
    """
    async with open_backends(settings) as backends, rebuild_connection(settings) as connection:
        es = backends.elasticsearch
        live = await admin.live_index(es, backends.alias)
        async with locks.batches_excluded(connection):
            known = [target for target in await targets.read_targets(connection) if target.is_compatible]
            retained = [target for target in known if target.state is TargetState.PREVIOUS]
            previous = max(retained, key=lambda target: target.state_since).name if retained else None
            if live is None or previous is None or await check_origin(backends, previous):
                raise NoPreviousIndexError
            await es.indices.refresh(index=previous)
            await targets.mark(connection, live, TargetState.PREVIOUS)
            await targets.mark(connection, previous, TargetState.LIVE)
            await admin.swap_alias(es, backends.alias, live, previous)
    async with clients.redis(settings.redis_url, timeout=settings.redis_seconds) as redis:
        await publish_all_changed(redis)
    return previous
