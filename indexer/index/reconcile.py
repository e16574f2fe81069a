"""Reconcile the registry of indices in Postgres with Elasticsearch, and detect indices that must be rebuilt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from uuid import uuid4

import structlog
from elasticsearch import AuthorizationException, NotFoundError
from sqlalchemy.ext.asyncio import AsyncConnection

from core import clients
from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from indexer import publisher_leases
from indexer.backends import Backends
from indexer.index import admin, locks, targets, versions
from indexer.index.closed_indices import open_closed
from indexer.index.direct_url import check_same_database
from indexer.index.ownership import claim
from indexer.index.targets import Target, TargetState

log = structlog.get_logger()

RETAINED = 2
"""Indexes that a reconciled registry has: the live and the previous one."""


@asynccontextmanager
async def rebuild_connection(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Hold the rebuild lock for the block, on a direct connection to Postgres, which is yielded.

    Raises: ReindexRunningError, DirectUrlMismatchError.
    """
    direct = clients.postgres(settings.direct_url, pool_size=1, command_timeout=None)
    try:
        async with locks.rebuild_lock(direct) as connection:
            await check_same_database(settings)
            yield connection
    finally:
        await direct.dispose()


async def reconcile(connection: AsyncConnection, backends: Backends) -> None:
    """Clean up after killed rebuilds; `connection` holds the rebuild lock.

    The index that the alias points to is live. Of the others of this program's document version only the usable one
    that was in use last is retained, as previous. Those of other versions are left alone, unless half-built.

    Raises: AliasNameTakenError, AliasAmbiguousError, IndexOwnedError.
    """
    await claim(backends)
    es = backends.elasticsearch
    await open_closed(es, backends.alias)
    if backends.public_alias is not None:
        await admin.indices_of(es, backends.public_alias)
    live = await admin.live_index(es, backends.alias)
    existing = await admin.all_names(es, backends.alias)
    async with connection.begin():
        known = await targets.read_targets(connection)
        own = [target for target in known if target.name in existing]
        retained = (await _by_preference(backends, own, live))[:RETAINED]
        if any(target.name == live and target.state is not TargetState.LIVE for target in retained):
            # Killed between the swap of the alias and its commit.
            await publisher_leases.request_publication(connection, uuid4())
        for target in retained:
            await targets.mark(
                connection, target.name, TargetState.LIVE if target.name == live else TargetState.PREVIOUS
            )
        names = {target.name for target in retained}
        await targets.remove_others(connection, names)
    half_built = {target.name for target in known if target.state is TargetState.BUILDING}
    unused = (existing | half_built) - names - {live}
    if unused:
        log.info("indices_dropped", names=sorted(unused))
        await admin.drop(es, unused)
    await restore_public_alias(backends)


async def restore_public_alias(backends: Backends) -> None:
    """Point the alias for people to the live index, if no index has it and no block of that one forbids it."""
    live = await admin.live_index(backends.elasticsearch, backends.alias)
    if live is not None and backends.public_alias is not None and await lacks_public_alias(backends):
        try:
            await backends.elasticsearch.indices.put_alias(index=live, name=backends.public_alias)
        except AuthorizationException as error:
            if error.error != admin.BLOCKED:
                raise
            log.warning("index_blocked", name=live, message=error.message)


async def lacks_public_alias(backends: Backends) -> bool:
    """Return whether no index has the alias for people. Raises: AliasNameTakenError."""
    name = backends.public_alias
    return name is not None and not await admin.indices_of(backends.elasticsearch, name)


async def has_leftovers(backends: Backends) -> bool:
    """Return whether a killed rebuild or rollback left something for `reconcile`, whatever the moment it was killed.

    It also does while one is running; `rebuild_connection` then raises.
    """
    live = await admin.live_index(backends.elasticsearch, backends.alias)
    existing = await admin.all_names(backends.elasticsearch, backends.alias)
    async with backends.postgres.connect() as connection:
        known = await targets.read_targets(connection)
    own = [target for target in known if target.name in existing]
    return (
        any(target.state is TargetState.BUILDING for target in known)
        or any((target.state is TargetState.LIVE) != (target.name == live) for target in own)
        or len(own) > RETAINED
        or bool(existing - {target.name for target in own})
        or await lacks_public_alias(backends)
    )


async def _by_preference(backends: Backends, known: list[Target], live: str | None) -> list[Target]:
    """Return the live target first, then those that are usable for a rollback, that in use last first."""
    first = [target for target in known if target.name == live]
    finished = [target for target in known if target.name != live and target.state is not TargetState.BUILDING]
    usable = [target for target in finished if target.is_compatible and not await check_origin(backends, target.name)]
    return first + sorted(usable, key=lambda target: target.state_since, reverse=True)


async def restore_alias(connection: AsyncConnection, backends: Backends) -> str | None:
    """Give the alias to the best index that is still written to, and return its name; None if there is none.

    `connection` holds the rebuild lock. Somebody deleted the alias, or the live index while there is a previous one.
    """
    es = backends.elasticsearch
    if await admin.live_index(es, backends.alias) is not None:
        return None
    existing = await admin.all_names(es, backends.alias)
    async with connection.begin():
        known = [target for target in await targets.read_targets(connection) if target.name in existing]
    live = next((target.name for target in known if target.state is TargetState.LIVE), None)
    candidates = await _by_preference(backends, known, live)
    if not candidates or await check_origin(backends, candidates[0].name):
        return None
    name = candidates[0].name
    log.warning("alias_restored", alias=backends.alias, name=name)
    await admin.swap_alias(es, backends.alias, None, name)
    await reconcile(connection, backends)
    return name


async def servers_work(settings: Settings, backends: Backends) -> bool:
    """Return whether a rebuild could begin: Postgres can be reached both ways, and Elasticsearch accepts writes."""
    direct = clients.postgres(settings.direct_url, pool_size=1)
    try:
        async with direct.connect(), backends.postgres.connect():
            pass
        return await admin.accepts_writes(backends.elasticsearch, backends.alias)
    except BACKEND_ERRORS:
        return False
    finally:
        await direct.dispose()


class IndexProblem(StrEnum):
    """Why the live index must be rebuilt. The values are parts of sentences in errors and logs."""

    NO_INDEX = "there is no index, or none that keeps its history"
    UNKNOWN = "Postgres does not know the index"
    OTHER_POSTGRES = "another Postgres has taken over"
    SET_BACK = "Postgres was set back to an earlier state"
    ALTERED = "its settings or mapping were changed"


async def check_origin(backends: Backends, name: str, connection: AsyncConnection | None = None) -> IndexProblem | None:
    """Return why the index cannot have been made from the present state of this database, or None.

    Otherwise documents of rows that this database never had would stay in the index for ever. `connection`, if given,
    is used to query the database.
    """
    try:
        await backends.elasticsearch.indices.refresh(index=name)
        meta = await admin.meta(backends.elasticsearch, name)
        highest = await admin.highest_version(backends.elasticsearch, name)
    except NotFoundError:
        return IndexProblem.NO_INDEX
    origin = await (versions.origin_seen_by(connection) if connection else versions.database_origin(backends.postgres))
    if not origin.meta().items() <= meta.items():
        return IndexProblem.OTHER_POSTGRES
    return IndexProblem.SET_BACK if highest > origin.version else None


async def find_problem(backends: Backends) -> IndexProblem | None:
    """Return why the live index must be rebuilt, or None."""
    name = await admin.live_index(backends.elasticsearch, backends.alias)
    if name is None:
        return IndexProblem.NO_INDEX
    async with backends.postgres.connect() as connection:
        known = await targets.read_targets(connection)
    if not any(target.name == name and target.is_compatible for target in known):
        return IndexProblem.UNKNOWN
    return await check_origin(backends, name) or await _check_conformance(backends, name)


async def _check_conformance(backends: Backends, name: str) -> IndexProblem | None:
    deviations = await admin.repair(backends.elasticsearch, backends.alias, name)
    if deviations:
        log.error("index_altered", name=name, deviations=deviations)
    return IndexProblem.ALTERED if deviations else None
