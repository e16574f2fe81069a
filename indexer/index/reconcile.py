"""Makes what Postgres knows of the indices agree with Elasticsearch, after whatever was interrupted or done by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

import structlog
from elasticsearch import NotFoundError
from sqlalchemy.ext.asyncio import AsyncConnection

from core import clients
from core.settings import Settings
from indexer.backends import Backends
from indexer.index import admin, locks, targets, versions
from indexer.index.targets import Target, TargetState

log = structlog.get_logger()


@asynccontextmanager
async def rebuild_connection(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Raises ReindexRunning."""
    direct = clients.postgres(settings.direct_url, pool_size=1, command_timeout=None)
    try:
        async with locks.rebuild_lock(direct) as connection:
            yield connection
    finally:
        await direct.dispose()


async def reconcile(connection: AsyncConnection, stores: Backends) -> None:
    """Of what killed rebuilds left; `connection` has the right to rebuild.

    The alias decides which index is in use. Of the others only the latest that can still be written to is kept.
    """
    es = stores.elasticsearch
    live = await admin.live_index(es, stores.alias)
    existing = await admin.all_names(es, stores.alias)
    async with connection.begin():
        known = [target for target in await targets.read_targets(connection) if target.name in existing]
        keep = (await _in_order_of_use(stores, known, live))[:2]
        for target in keep:
            await targets.mark(
                connection, target.name, TargetState.LIVE if target.name == live else TargetState.PREVIOUS
            )
        names = {target.name for target in keep}
        await targets.remove_others(connection, names)
    unused = existing - names - {live}
    if unused:
        log.info("indices_dropped", names=sorted(unused))
        await admin.drop(es, unused)


async def _in_order_of_use(stores: Backends, known: list[Target], live: str | None) -> list[Target]:
    """The one in use first, then those that may be needed for a rollback, the latest first."""
    in_use = [target for target in known if target.name == live]
    finished = [target for target in known if target.name != live and target.state is not TargetState.BUILDING]
    usable = [target for target in finished if target.is_compatible and not await check_origin(stores, target.name)]
    return in_use + sorted(usable, key=lambda target: target.name, reverse=True)


class IndexProblem(StrEnum):
    """Why the index in use can't be trusted, or can't be written to."""

    NO_INDEX = "there is no index, or none that keeps its history"
    UNKNOWN = "Postgres does not know the index"
    OTHER_DOCUMENTS = "its documents are those of another version of this program"
    OTHER_POSTGRES = "another Postgres has taken over"
    SET_BACK = "Postgres was set back to an earlier state"


async def check_origin(stores: Backends, name: str, connection: AsyncConnection | None = None) -> IndexProblem | None:
    """Why the index can't have been made from this database as it is now: what it has too much would stay for ever.

    The database is the one behind `connection` if there is one.
    """
    try:
        await stores.elasticsearch.indices.refresh(index=name)
        meta = await admin.meta(stores.elasticsearch, name)
        highest = await admin.highest_version(stores.elasticsearch, name)
    except NotFoundError:
        return IndexProblem.NO_INDEX
    origin = await (versions.origin_seen_by(connection) if connection else versions.database_origin(stores.postgres))
    if not origin.meta().items() <= meta.items():
        return IndexProblem.OTHER_POSTGRES
    return IndexProblem.SET_BACK if highest > origin.version else None


async def find_problem(stores: Backends) -> IndexProblem | None:
    """What calls for a reindex."""
    name = await admin.live_index(stores.elasticsearch, stores.alias)
    if name is None:
        return IndexProblem.NO_INDEX
    async with stores.postgres.connect() as connection:
        target = next((known for known in await targets.read_targets(connection) if known.name == name), None)
    if target is None:
        return IndexProblem.UNKNOWN
    return await check_origin(stores, name) if target.is_compatible else IndexProblem.OTHER_DOCUMENTS
