"""Tell rejected documents from an index that rejects every document, by writing a document of the index once more."""

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from indexer.index import bulk_writer
from indexer.index.bulk_writer import WriteOutcome

MAX_UNPROVEN = 5
"""Rejections by an empty index, which has no document to probe with, that are put down to the documents."""

MAX_STUBBORN = 20
"""Documents that are tried alone; when more fail, the fault is the index's."""


async def blame_index(es: AsyncElasticsearch, name: str, outcome: WriteOutcome) -> str | None:
    """Make rejections retryable, and return the first reason, if the index rejects what it has accepted before.

    Otherwise a pipeline, setting or mapping that somebody changed would empty the index, document by document.
    """
    if not outcome.rejected:
        return None
    accepts = await accepts_documents(es, name)
    if accepts or (accepts is None and len(outcome.rejected) <= MAX_UNPROVEN):
        return None
    reason = next(iter(outcome.rejected.values()))
    outcome.retryable |= outcome.rejected
    outcome.rejected = {}
    return reason


async def reject_stubborn(
    es: AsyncElasticsearch, name: str, version: int, changes: bulk_writer.Changes, outcome: WriteOutcome
) -> None:
    """Reject those of `changes` that alone fail again, such as one too large for a server that takes all others.

    The index has to accept another document before and after, so that an outage that ends is no one's fault.
    """
    failed = changes.keys() & outcome.retryable.keys()
    if not failed or len(failed) > MAX_STUBBORN or outcome.index_missing:
        return
    for trip_id in sorted(failed):
        if not await accepts_documents(es, name):
            return
        alone = (await bulk_writer.write(es, [name], version, {trip_id: changes[trip_id]}))[name]
        if alone.retryable and not await accepts_documents(es, name):
            return
        del outcome.retryable[trip_id]
        outcome.rejected |= alone.retryable | alone.rejected


async def accepts_documents(es: AsyncElasticsearch, name: str) -> bool | None:
    """Write any document of the index again, unchanged; return whether it was accepted, or None if there is none."""
    try:
        found = await es.search(index=name, size=1, version=True, sort=["_doc"], track_total_hits=False)
    except (ApiError, TransportError):
        return False
    for hit in found["hits"]["hits"]:
        source = {key: value for key, value in hit["_source"].items() if key != "version"}
        (body,) = bulk_writer.bodies(hit["_version"], {int(hit["_id"]): orjson.dumps(source)})
        probe = await bulk_writer.send(es, name, body)
        return not probe.rejected and not probe.retryable
    return None
