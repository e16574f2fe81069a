"""Versioned writes of documents and deletions to indices, with an outcome for each departure."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from core.concurrency.bisection import process_with_bisection
from core.metrics.labels import OTHER
from core.tracing import spans
from indexer.index import admin

BODY_BYTES = 900_000
"""Size from which a bulk request is sent; aiohttp warns of bodies above 1 MiB, which block the event loop."""
SHARD_TIMEOUT = "10s"
"""How long Elasticsearch may delay a write: a late one must arrive before tombstones are removed (`gc_deletes`)."""
UNSEARCHED_SHARD_TIMEOUT = "1s"
"""The same for an index that no search uses: the live one does not wait for a node that is down with its only copy."""

Changes = Mapping[int, bytes | None]
"""Documents, as `build_documents` makes them, by departure id; None deletes the document."""


@dataclass
class WriteOutcome:
    """The result of writes to one index. Departures that are not listed are written, or stale."""

    retryable: dict[int, str] = field(default_factory=dict)
    """Reasons of temporary failures, by departure id."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Reasons of permanent rejections, by departure id."""
    index_missing: bool = False
    stale: int = 0
    """Number of writes that were ignored because the index has a later version."""

    def add(self, other: "WriteOutcome") -> None:
        self.retryable |= other.retryable
        self.rejected |= other.rejected
        self.index_missing |= other.index_missing
        self.stale += other.stale


class Operation(NamedTuple):
    trip_id: int
    lines: bytes
    """Action and, unless it is a deletion, document, in the format of the bulk API."""


@dataclass(frozen=True)
class BulkBody:
    """A bulk request that can be sent to any index."""

    version: int
    operations: Sequence[Operation]

    @property
    def ids(self) -> list[int]:
        return [operation.trip_id for operation in self.operations]


class BodyRejectedError(Exception):
    """Elasticsearch rejected a bulk request as a whole: at least one of its operations is unacceptable."""


def bodies(version: int, changes: Changes, max_bytes: int = BODY_BYTES) -> Iterator[BulkBody]:
    """Split changes into bulk requests of about `max_bytes`."""
    operations: list[Operation] = []
    size = 0
    for trip_id, document in changes.items():
        operation = Operation(trip_id, _lines(version, trip_id, document))
        if len(operation.lines) >= max_bytes:
            # Alone: if Elasticsearch does not take it, the others are not concerned.
            yield BulkBody(version, [operation])
            continue
        operations.append(operation)
        size += len(operation.lines)
        if size >= max_bytes:
            yield BulkBody(version, operations)
            operations, size = [], 0
    if operations:
        yield BulkBody(version, operations)


def _lines(version: int, trip_id: int, document: bytes | None) -> bytes:
    target = b'{"_id":"%d","version":%d,"version_type":"external_gte"}' % (trip_id, version)
    if document is None:
        return b'{"delete":%b}' % target
    return b'{"index":%b}\n%b,"version":%d}' % (target, document[:-1], version)


def _version_record(name: str, version: int) -> bytes:
    """Return the operation that records the version in the history index."""
    target = {"_index": admin.write_alias(admin.history_index(name)), "_id": name}
    return orjson.dumps({"index": {**target, "version": version, "version_type": "external_gte"}}) + b"\n{}"


async def write(
    es: AsyncElasticsearch, names: Sequence[str], version: int, changes: Changes, unsearched: Collection[str] = ()
) -> dict[str, WriteOutcome]:
    """Write the changes to each of the indices; errors of Elasticsearch become outcomes and are not raised.

    No search uses those that are `unsearched`.
    """
    timeouts = {name: UNSEARCHED_SHARD_TIMEOUT if name in unsearched else SHARD_TIMEOUT for name in names}
    outcomes = {name: WriteOutcome() for name in names}
    if not changes:
        return outcomes
    with spans.span("write documents", {"smarttrip.documents": len(changes)}) as span:
        for body in bodies(version, changes):
            parts = await asyncio.gather(*(send(es, name, body, timeouts[name]) for name in names))
            for name, part in zip(names, parts, strict=True):
                outcomes[name].add(part)
        span.set(
            {
                "smarttrip.documents.rejected": sum(len(outcome.rejected) for outcome in outcomes.values()),
                "smarttrip.documents.retryable": sum(len(outcome.retryable) for outcome in outcomes.values()),
                "smarttrip.documents.stale": sum(outcome.stale for outcome in outcomes.values()),
            }
        )
    return outcomes


async def send(es: AsyncElasticsearch, name: str, body: BulkBody, shard_timeout: str = SHARD_TIMEOUT) -> WriteOutcome:
    """Send a bulk request to one index, and isolate operations that make Elasticsearch reject the whole request.

    Elasticsearch waits for a copy of a shard for as long as `shard_timeout`.
    """

    async def process(operations: Sequence[Operation]) -> WriteOutcome:
        return await _send_whole(es, name, replace(body, operations=operations), shard_timeout)

    async def reject(operation: Operation, error: Exception) -> WriteOutcome:
        return WriteOutcome(rejected={operation.trip_id: str(error)})

    outcome = WriteOutcome()
    for part in await process_with_bisection(body.operations, process, reject, errors=(BodyRejectedError,)):
        outcome.add(part)
    return outcome


CLOSED = "index_closed_exception"
TEMPORARY = {CLOSED, "task_cancelled_exception"}
"""Errors with the status of a bad request that say nothing of the documents: they are tried again."""
MAX_REASON_START = 100
"""Characters of a reason that name its type; the rest may quote anything."""
UNACCEPTABLE = (400, 413)
"""Statuses of a request that Elasticsearch rejects whatever its own state is."""


async def _send_whole(es: AsyncElasticsearch, name: str, body: BulkBody, shard_timeout: str) -> WriteOutcome:
    operations = [*(operation.lines for operation in body.operations), _version_record(name, body.version)]
    try:
        response = await es.bulk(
            index=admin.write_alias(name),
            operations=cast(Any, operations),  # The client sends bytes unchanged, whatever its type hints say.
            require_alias=True,
            pipeline="_none",
            timeout=shard_timeout,
            filter_path="errors,items.*.status,items.*.result,items.*.error.type,items.*.error.reason",
        )
    except ApiError as error:
        if error.status_code in UNACCEPTABLE and error.error not in TEMPORARY:
            raise BodyRejectedError(str(error)) from error
        return WriteOutcome(retryable=dict.fromkeys(body.ids, str(error)))
    except TransportError as error:
        return WriteOutcome(retryable=dict.fromkeys(body.ids, f"{type(error).__name__}: {error}"))
    return classify(response.body, body.ids)


DROPPED = {"noop": {"type": "document_dropped", "reason": "an ingest pipeline of Elasticsearch dropped the document"}}
"""Errors of writes that Elasticsearch reports as done without having done them, by result."""


def classify(response: Mapping[str, Any], ids: Sequence[int]) -> WriteOutcome:
    """Turn the items of a bulk response into an outcome.

    A 403 is a blocked index, not a bad document. A 404 with an error is a missing index, without one the deletion of a
    document that is not there. A 400 is a bad document, unless its error is TEMPORARY. A result of "noop" is a document
    that an ingest pipeline dropped.
    """
    *results, recorded = (next(iter(item.values())) for item in response["items"])
    if recorded["status"] != 409 and (error := recorded.get("error", DROPPED.get(recorded.get("result")))):
        # Writes whose version is not in the history must not count as written.
        return WriteOutcome(retryable=dict.fromkeys(ids, _reason(error)))
    outcome = WriteOutcome()
    for trip_id, result in zip(ids, results, strict=True):
        status, error = result["status"], result.get("error", DROPPED.get(result.get("result")))
        if status == 409:
            outcome.stale += 1
        elif error and status == 400 and error["type"] not in TEMPORARY:
            outcome.rejected[trip_id] = _reason(error)
        elif error:
            outcome.index_missing |= error["type"] == "index_not_found_exception"
            outcome.retryable[trip_id] = _reason(error)
    return outcome


REASONS = (
    "cluster_block_exception",
    "index_not_found_exception",
    CLOSED,
    "document_parsing_exception",
    "strict_dynamic_mapping_exception",
    "es_rejected_execution_exception",
    "unavailable_shards_exception",
    "document_dropped",
    "ConnectionError",
    "ConnectionTimeout",
)
"""Reasons of refusals that are told apart in metrics: types of errors of Elasticsearch, or of its client."""


def reason_label(reason: str) -> str:
    """Return which of REASONS the text of a refusal has, the most frequent first, or OTHER."""
    return next((known for known in REASONS if known in reason[:MAX_REASON_START]), OTHER)


def _reason(error: Mapping[str, Any]) -> str:
    return f"{error['type']}: {error.get('reason')}"[:1000]
