"""The index as administrators see it, and what they may have done with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from elasticsearch import ApiError as ElasticsearchError
from elasticsearch import AsyncElasticsearch, TransportError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.backends.database import Database, map_database_errors
from app.backends.labels import SEARCH_INDEX_LABEL
from app.repositories import admin
from core.errors import BackendUnavailableError, ConflictError
from core.settings import Settings
from indexer.errors import IndexerError, ReindexRunningError
from indexer.index import admin as index_admin
from indexer.jobs import queue
from indexer.jobs.names import REINDEX
from indexer.rebuild.progress import read_progress
from indexer.rebuild.verify import VerifyResult, verify
from schemas.api.admin import MAX_SHOWN, IndexState, ReindexProgress, VerifyReport
from schemas.redis_keys import GENERATION_COUNTER

log = structlog.get_logger()

REINDEX_REQUEST_KEY = "smarttrip:reindex:requested"
REQUEST_SECONDS = 5
"""As long as the worker may take to begin what it was asked for."""

VERIFY_RATE = 5000.0
"""Departures a second: requests are answered beside it."""


@contextmanager
def map_indexer_errors() -> Iterator[None]:
    """Map errors of the indexer to ConflictError, and errors of its backends to BackendUnavailableError."""
    try:
        with map_database_errors():
            yield
    except IndexerError as refusal:
        raise ConflictError(str(refusal)) from None
    except (ElasticsearchError, TransportError) as error:
        raise BackendUnavailableError(SEARCH_INDEX_LABEL) from error
    except RedisError as error:
        raise BackendUnavailableError("the queue of jobs") from error


async def request_reindex(settings: Settings, database: Database, redis: Redis) -> None:
    """Has the worker begin one soon. Raises ConflictError and BackendUnavailableError."""
    async with database.write() as session:
        if await admin.is_rebuilding(session):
            raise ConflictError(str(ReindexRunningError()))
    with map_indexer_errors():
        if not await redis.set(REINDEX_REQUEST_KEY, 1, nx=True, ex=REQUEST_SECONDS):
            raise ConflictError("A reindex has been asked for already; it is about to begin.")
        await queue.enqueue(settings.redis_url, REINDEX)


async def get_index_status(
    settings: Settings, database: Database, elasticsearch: AsyncElasticsearch, redis: Redis
) -> IndexState:
    """Raises BackendUnavailableError when Postgres doesn't answer; of the others only the figures are missing then."""
    async with database.write() as session:
        rebuilding = await admin.is_rebuilding(session)
        targets = await admin.targets(session)
        outbox = await admin.outbox_backlog(session)
        letters = await admin.dead_letter_counts(session)
        departures = await admin.count_departures(session)
    name, documents = await _in_use(elasticsearch, settings.elasticsearch_alias)
    generation, reindex = await _read_progress(redis)
    return IndexState(
        alias=settings.elasticsearch_alias,
        index=name,
        documents=documents,
        departures=departures,
        generation=generation,
        targets=targets,
        outbox=outbox,
        dead_letters=letters,
        rebuilding=rebuilding,
        reindex=reindex,
    )


async def _in_use(elasticsearch: AsyncElasticsearch, alias: str) -> tuple[str | None, int | None]:
    try:
        name = await index_admin.live_index(elasticsearch, alias)
        return name, (await elasticsearch.count(index=name))["count"] if name else None
    except (ElasticsearchError, TransportError) as error:
        log.warning("index_unknown", error=type(error).__name__)
        return None, None


async def _read_progress(redis: Redis) -> tuple[int | None, ReindexProgress | None]:
    try:
        generation, progress = await redis.get(GENERATION_COUNTER), await read_progress(redis)
    except RedisError as error:
        log.warning("progress_unknown", error=type(error).__name__)
        return None, None
    return int(generation) if generation else None, ReindexProgress.model_validate(progress) if progress else None


async def verify_index(settings: Settings, *, repair: bool) -> VerifyReport:
    """Raises ConflictError and BackendUnavailableError."""
    with map_indexer_errors():
        return _to_response(await verify(settings, repair, rate=VERIFY_RATE))


def _to_response(report: VerifyResult) -> VerifyReport:
    return VerifyReport.model_validate(
        {
            "in_sync": report.in_sync,
            "checked": report.checked,
            "drifted": report.drifted,
            "lagging": report.lagging,
            "refused": len(report.refused),
            "differences": report.differences[:MAX_SHOWN],
            "repaired": report.repaired,
            "seconds": round(report.seconds, 2),
        }
    )
