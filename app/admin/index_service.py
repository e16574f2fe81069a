"""State of the index, and the operations on it that administrators may start."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from elasticsearch import ApiError as ElasticsearchError
from elasticsearch import AsyncElasticsearch, TransportError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.backends.database import Database, map_database_errors
from app.backends.labels import JOB_QUEUE_LABEL, SEARCH_INDEX_LABEL
from app.repositories import admin
from core.clients import redis_key
from core.configuration.settings import Settings
from core.errors import BackendUnavailableError, ConflictError
from indexer.errors import IndexerError, ReindexRunningError
from indexer.index import admin as index_admin
from indexer.jobs import queue
from indexer.jobs.names import REINDEX
from indexer.rebuild.progress import read_progress
from indexer.rebuild.rollback import rollback
from indexer.rebuild.verify import VerifyOptions, VerifyResult, verify
from schemas.api.admin import MAX_SHOWN, IndexState, ReindexProgress, VerifyReport
from schemas.messages.message import Message
from schemas.redis_keys import GENERATION_COUNTER

log = structlog.get_logger()

REINDEX_REQUEST_KEY = "smarttrip:reindex:requested"
REQUEST_SECONDS = 5
"""Seconds within which the worker starts an enqueued reindex; a second request is rejected until then."""

VERIFY_RATE = 5000.0
"""Departures per second; the limit leaves capacity for requests."""


@contextmanager
def map_indexer_errors() -> Iterator[None]:
    """Map errors of the indexer to ConflictError, and errors of its backends to BackendUnavailableError."""
    try:
        with map_database_errors():
            yield
    except IndexerError as error:
        raise ConflictError(error.message) from None
    except (ElasticsearchError, TransportError) as error:
        raise BackendUnavailableError(SEARCH_INDEX_LABEL) from error
    except RedisError as error:
        raise BackendUnavailableError(JOB_QUEUE_LABEL) from error


async def request_reindex(settings: Settings, database: Database, redis: Redis) -> None:
    """Enqueue a reindex for the worker. Raises ConflictError and BackendUnavailableError."""
    async with database.write() as session:
        if await admin.is_rebuilding(session):
            raise ConflictError(ReindexRunningError().message)
    with map_indexer_errors():
        if not await redis.set(redis_key(redis, REINDEX_REQUEST_KEY), 1, nx=True, ex=REQUEST_SECONDS):
            raise ConflictError(Message("reindex_requested"))
        await queue.enqueue(settings.redis_url, REINDEX, prefix=settings.redis_prefix)


async def get_index_status(
    settings: Settings, database: Database, elasticsearch: AsyncElasticsearch, redis: Redis
) -> IndexState:
    """Return the state of the index; values of an unavailable Elasticsearch or Redis are None.

    Raises BackendUnavailableError if Postgres is unavailable.
    """
    async with database.write() as session:
        rebuilding = await admin.is_rebuilding(session)
        targets = await admin.list_write_targets(session)
        outbox = await admin.get_outbox_backlog(session)
        dead_letters = await admin.count_dead_letters(session)
        departures = await admin.count_departures(session)
    name, documents = await _live_index(elasticsearch, settings.search_alias)
    generation, reindex = await _read_progress(redis)
    return IndexState(
        alias=settings.elasticsearch_alias,
        index=name,
        documents=documents,
        departures=departures,
        generation=generation,
        targets=targets,
        outbox=outbox,
        dead_letters=dead_letters,
        rebuilding=rebuilding,
        reindex=reindex,
    )


async def _live_index(elasticsearch: AsyncElasticsearch, alias: str) -> tuple[str | None, int | None]:
    """Return the name of the live index and its number of documents; None if unknown."""
    try:
        name = await index_admin.live_index(elasticsearch, alias)
        return name, (await elasticsearch.count(index=name))["count"] if name else None
    except (ElasticsearchError, TransportError) as error:
        log.warning("index_unknown", error=type(error).__name__)
        return None, None


async def _read_progress(redis: Redis) -> tuple[int | None, ReindexProgress | None]:
    """Return the number of the last change, and the progress of the running or last reindex; None if unknown."""
    try:
        generation, progress = await redis.get(redis_key(redis, GENERATION_COUNTER)), await read_progress(redis)
        return int(generation) if generation else None, ReindexProgress.model_validate(progress) if progress else None
    # Bytes that are no number or no progress are another program's.
    except (RedisError, ValueError) as error:
        log.warning("progress_unknown", error=type(error).__name__)
        return None, None


async def verify_index(settings: Settings, *, repair: bool) -> VerifyReport:
    """Compare the index with Postgres. Raises ConflictError and BackendUnavailableError."""
    with map_indexer_errors():
        return _to_report(await verify(settings, repair, options=VerifyOptions(rate=VERIFY_RATE)))


async def roll_back(settings: Settings) -> str:
    """Swap in the previous index and return its name. Raises ConflictError and BackendUnavailableError."""
    with map_indexer_errors():
        return await rollback(settings)


def _to_report(result: VerifyResult) -> VerifyReport:
    return VerifyReport.model_validate(
        {
            "in_sync": result.in_sync,
            "checked": result.checked,
            "drifted": result.drifted,
            "lagging": result.lagging,
            "refused": len(result.refused),
            "differences": result.differences[:MAX_SHOWN],
            "repaired": result.repaired,
            "seconds": round(result.seconds, 2),
        }
    )
