"""Makes what Postgres knows of the indices agree with Elasticsearch, after whatever was interrupted or done by hand."""

import structlog
from elasticsearch import NotFoundError
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer import index, targets, versions
from indexer.stores import Stores
from indexer.targets import State, Target

log = structlog.get_logger()


async def clean_up(connection: AsyncConnection, stores: Stores) -> None:
    """Of what killed rebuilds left; `connection` has the right to rebuild.

    The alias decides which index is in use. Of the others only the latest that can still be written to is kept.
    """
    es = stores.elasticsearch
    live = await index.behind_alias(es, stores.alias)
    existing = await index.all_names(es, stores.alias)
    async with connection.begin():
        known = [target for target in await targets.read_targets(connection) if target.name in existing]
        keep = (await _in_order_of_use(stores, known, live))[:2]
        for target in keep:
            await targets.mark(connection, target.name, State.LIVE if target.name == live else State.PREVIOUS)
        names = {target.name for target in keep}
        await targets.forget_others(connection, names)
    unused = existing - names - {live}
    if unused:
        log.info("indices_dropped", names=sorted(unused))
        await index.drop(es, unused)


async def _in_order_of_use(stores: Stores, known: list[Target], live: str | None) -> list[Target]:
    """The one in use first, then those that may be needed for a rollback, the latest first."""
    in_use = [target for target in known if target.name == live]
    finished = [target for target in known if target.name != live and target.state is not State.BUILDING]
    usable = [target for target in finished if target.ours and not await foreign(stores, target.name)]
    return in_use + sorted(usable, key=lambda target: target.name, reverse=True)


async def foreign(stores: Stores, name: str) -> str | None:
    """Why the index can't be of this database: versions that it has not given out yet would win for ever."""
    highest = await index.highest_version(stores.elasticsearch, name)
    origin = await versions.origin(stores.postgres)
    if not origin.meta().items() <= (await index.meta(stores.elasticsearch, name)).items():
        return "another Postgres has taken over"
    return "Postgres was set back to an earlier state" if highest > origin.version else None


async def why_rebuild(stores: Stores) -> str | None:
    """What a new index is needed for; None while the one in use can be trusted."""
    name = await index.behind_alias(stores.elasticsearch, stores.alias)
    if name is None:
        return "there is no index"
    async with stores.postgres.connect() as connection:
        target = next((known for known in await targets.read_targets(connection) if known.name == name), None)
    if target is None:
        return "Postgres does not know the index"
    if not target.ours:
        return "the index is made of documents of another version of this program"
    try:
        return await foreign(stores, name)
    except NotFoundError:
        return "the index was dropped"
