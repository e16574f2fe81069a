"""Tell rejected documents from an index that rejects every document, by writing a document of the index once more."""

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from indexer.index import bulk_writer
from indexer.index.bulk_writer import WriteOutcome

MAX_UNPROVEN = 5
"""Rejections by an empty index, which has no document to probe with, that are put down to the documents."""


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
