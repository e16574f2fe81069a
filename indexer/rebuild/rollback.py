"""Rollback: make the index live that was live before the last reindex or release. It has been written to ever since."""

from uuid import uuid4

from core import clients
from core.configuration.settings import Settings
from indexer import publisher_leases
from indexer.backends import Backends, open_backends
from indexer.errors import NoPreviousIndexError, OtherReleaseIndexError
from indexer.index import admin, locks, targets
from indexer.index.closed_indices import open_closed
from indexer.index.reconcile import check_origin, rebuild_connection
from indexer.index.targets import Target, TargetState
from indexer.invalidation_publisher import publish_all_changed


async def rollback(settings: Settings) -> str:
    """Activate the index before; return its name. A second rollback undoes the first.

    If another release has activated its index since, the live index of this one is activated again. Otherwise the live
    and the previous index are swapped.

    Raises: ReindexRunningError, NoPreviousIndexError, OtherReleaseIndexError.
    """
    publisher = uuid4()
    async with open_backends(settings) as backends, rebuild_connection(settings) as connection:
        await open_closed(backends.elasticsearch, backends.alias)
        live = await admin.live_index(backends.elasticsearch, backends.alias)
        async with locks.batches_excluded(connection):
            known = await targets.read_targets(connection)
            if live is None:
                raise NoPreviousIndexError
            name = live if await _is_other_release_active(backends) else _previous(known)
            if await check_origin(backends, name):
                raise NoPreviousIndexError
            await backends.elasticsearch.indices.refresh(index=name)
            if name != live:
                await targets.mark(connection, live, TargetState.PREVIOUS)
                await targets.mark(connection, name, TargetState.LIVE)
            await publisher_leases.request_publication(connection, publisher)
            await admin.swap_alias(backends.elasticsearch, backends.alias, live, name, backends.public_alias)
        async with clients.own_redis(settings, timeout=settings.redis_seconds) as redis:
            if await publish_all_changed(redis) is not None:
                async with connection.begin():
                    await publisher_leases.remove(connection, publisher)
    return name


async def _is_other_release_active(backends: Backends) -> bool:
    """Return whether the alias for people points to an index of another document version."""
    if backends.public_alias is None:
        return False
    names = await admin.indices_of(backends.elasticsearch, backends.public_alias)
    return any(not name.startswith(f"{backends.alias}-") for name in names)


def _previous(known: list[Target]) -> str:
    """Return the previous index of this document version. Raises: NoPreviousIndexError, OtherReleaseIndexError."""
    retained = [target for target in known if target.is_compatible and target.state is TargetState.PREVIOUS]
    if retained:
        return max(retained, key=lambda target: target.state_since).name
    others = [target for target in known if not target.is_compatible and target.state is TargetState.LIVE]
    if others:
        latest = max(others, key=lambda target: target.created_at)
        raise OtherReleaseIndexError(latest.name, latest.document_version)
    raise NoPreviousIndexError
