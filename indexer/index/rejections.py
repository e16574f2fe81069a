"""Tell rejected documents from an index that rejects every document, by writing a document of the index once more."""

from collections.abc import Sequence
from typing import Any

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from core.concurrency.bisection import process_with_bisection
from indexer.index import bulk_writer
from indexer.index.bulk_writer import WriteOutcome

MAX_REJECTIONS_BY_EMPTY_INDEX = 5
"""Rejections by an empty index, which has no document to probe with, that are put down to the documents."""

MAX_FAILING_ALONE = 20
"""Documents that may fail alone; when more do, the fault is the index's."""


async def retry_if_index_rejects_all(es: AsyncElasticsearch, name: str, outcome: WriteOutcome) -> str | None:
    """Make rejections retryable, and return the first reason, if the index rejects what it has accepted before.

    Otherwise a pipeline, setting or mapping that somebody changed would empty the index, document by document.
    """
    if not outcome.rejected:
        return None
    accepts = await accepts_documents(es, name)
    if accepts or (accepts is None and len(outcome.rejected) <= MAX_REJECTIONS_BY_EMPTY_INDEX):
        return None
    reason = next(iter(outcome.rejected.values()))
    outcome.retryable |= outcome.rejected
    outcome.rejected = {}
    return reason


async def reject_repeatedly_failing(
    es: AsyncElasticsearch, name: str, version: int, changes: bulk_writer.Changes, outcome: WriteOutcome
) -> None:
    """Write those of `changes` that failed once more, apart from each other, and reject what alone fails again.

    Such a document is too large for a server that takes all others. If the server takes none, nothing is rejected.
    """
    failed = {trip_id: changes[trip_id] for trip_id in changes.keys() & outcome.retryable.keys()}
    if not failed or outcome.index_missing:
        return
    try:
        reasons = await _write_apart(es, name, version, failed)
    except _FailedPartError:
        return
    if len(reasons) == len(failed) and not await accepts_documents(es, name):
        return
    for trip_id in failed.keys() - reasons.keys():
        del outcome.retryable[trip_id]
    for trip_id in reasons:
        # Once more, now that the index is known to accept documents: the first attempt may have been during an outage.
        alone = (await bulk_writer.write(es, [name], version, {trip_id: failed[trip_id]}))[name]
        del outcome.retryable[trip_id]
        outcome.rejected |= alone.retryable | alone.rejected


class _FailedPartError(Exception):
    """Elasticsearch did not take a part of the documents; the message says why."""


async def _write_apart(es: AsyncElasticsearch, name: str, version: int, changes: bulk_writer.Changes) -> dict[int, str]:
    """Write documents in ever smaller parts; return those that fail alone, with the reasons.

    Raises: _FailedPartError if they are many.
    """
    reasons: dict[int, str] = {}

    async def write_part(part: Sequence[int]) -> None:
        written = (await bulk_writer.write(es, [name], version, {trip_id: changes[trip_id] for trip_id in part}))[name]
        reasons.update(written.rejected)
        if written.retryable:
            raise _FailedPartError(next(iter(written.retryable.values())))

    async def fail(trip_id: int, error: Exception) -> None:
        reasons[trip_id] = str(error)
        if len(reasons) > MAX_FAILING_ALONE:
            raise error

    await process_with_bisection(sorted(changes), write_part, fail, errors=(_FailedPartError,))
    return reasons


async def accepts_documents(es: AsyncElasticsearch, name: str) -> bool | None:
    """Write any document of the index again, unchanged; return whether it was accepted, or None if there is none."""
    try:
        hits = await _any_document(es, name)
        if not hits:
            # Documents may be there that no search sees yet.
            await es.indices.refresh(index=name)
            hits = await _any_document(es, name)
    except (ApiError, TransportError):
        return False
    for hit in hits:
        source = {key: value for key, value in hit["_source"].items() if key != "version"}
        (body,) = bulk_writer.bodies(hit["_version"], {int(hit["_id"]): orjson.dumps(source)})
        probe = await bulk_writer.send(es, name, body)
        return not probe.rejected and not probe.retryable
    return None


async def _any_document(es: AsyncElasticsearch, name: str) -> list[dict[str, Any]]:
    found = await es.search(index=name, size=1, version=True, sort=["_doc"], track_total_hits=False)
    hits: list[dict[str, Any]] = found["hits"]["hits"]
    return hits
