"""Versioned writes to indices, with an answer for each departure."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from indexer.index import admin

BODY_BYTES = 900_000
"""Size from which a body is sent on its own; aiohttp warns of those above 1 MiB, which hold up the event loop."""
SHARD_PATIENCE = "10s"
"""How long the server may hold a write back; a write that arrives late must not outlive a deletion's memory."""

Changes = Mapping[int, bytes | None]
"""Documents, as `read_documents` makes them, by departure id; None for one that is gone."""


@dataclass
class WriteOutcome:
    """What became of the writes to one index. Those in neither are done: written, outdated, or gone already."""

    kept: dict[int, str] = field(default_factory=dict)
    """Not taken now, and worth another try; with the reason."""
    refused: dict[int, str] = field(default_factory=dict)
    """Refused for good."""
    missing: bool = False
    """The index is not there any more."""
    outdated: int = 0
    """A later reading had been written before."""

    def add(self, other: "WriteOutcome") -> None:
        self.kept |= other.kept
        self.refused |= other.refused
        self.missing |= other.missing
        self.outdated += other.outdated


@dataclass(frozen=True)
class BulkBody:
    """A bulk request that fits any index: an operation for each id."""

    version: int
    operations: Sequence[bytes]
    ids: Sequence[int]

    def split(self) -> tuple["BulkBody", "BulkBody"]:
        middle = len(self.ids) // 2
        return (
            BulkBody(self.version, self.operations[:middle], self.ids[:middle]),
            BulkBody(self.version, self.operations[middle:], self.ids[middle:]),
        )


def bodies(version: int, changes: Changes) -> Iterator[BulkBody]:
    """Of about BODY_BYTES each."""
    operations: list[bytes] = []
    ids: list[int] = []
    size = 0
    for trip_id, document in changes.items():
        operation = _operation(version, trip_id, document)
        operations.append(operation)
        ids.append(trip_id)
        size += len(operation)
        if size >= BODY_BYTES:
            yield BulkBody(version, operations, ids)
            operations, ids, size = [], [], 0
    if ids:
        yield BulkBody(version, operations, ids)


def _operation(version: int, trip_id: int, document: bytes | None) -> bytes:
    target = b'{"_id":"%d","version":%d,"version_type":"external_gte"}' % (trip_id, version)
    if document is None:
        return b'{"delete":%b}' % target
    return b'{"index":%b}\n%b,"version":%d}' % (target, document[:-1], version)


def _version_record(name: str, version: int) -> bytes:
    """Keeps the version in the index's history."""
    target = {"_index": admin.write_alias(admin.history_index(name)), "_id": name}
    return orjson.dumps({"index": {**target, "version": version, "version_type": "external_gte"}}) + b"\n{}"


async def write(
    es: AsyncElasticsearch, names: Sequence[str], version: int, changes: Changes
) -> dict[str, WriteOutcome]:
    """To each of the indices; never raises for what a server refuses."""
    outcomes = {name: WriteOutcome() for name in names}
    for body in bodies(version, changes):
        answers = await asyncio.gather(*(send(es, name, body) for name in names))
        for name, answer in zip(names, answers, strict=True):
            outcomes[name].add(answer)
    return outcomes


CLOSED = "index_closed_exception"
UNACCEPTABLE = (400, 413)
"""The server's answer to a request that it will never take, whatever its state."""


async def send(es: AsyncElasticsearch, name: str, body: BulkBody) -> WriteOutcome:
    try:
        answer = await es.bulk(
            index=admin.write_alias(name),
            operations=cast(
                Any, [*body.operations, _version_record(name, body.version)]
            ),  # bytes are passed on as they are
            require_alias=True,
            timeout=SHARD_PATIENCE,
            filter_path="errors,items.*.status,items.*.error.type,items.*.error.reason",
        )
    except ApiError as error:
        if error.status_code in UNACCEPTABLE:
            return await _bisect(es, name, body, str(error))
        return WriteOutcome(kept=dict.fromkeys(body.ids, str(error)))
    except TransportError as error:
        return WriteOutcome(kept=dict.fromkeys(body.ids, f"{type(error).__name__}: {error}"))
    return classify(answer.body, body.ids) if answer["errors"] else WriteOutcome()


async def _bisect(es: AsyncElasticsearch, name: str, body: BulkBody, refusal: str) -> WriteOutcome:
    """One unacceptable document makes the server refuse the whole request: find it."""
    if len(body.ids) == 1:
        return WriteOutcome(refused={body.ids[0]: refusal})
    first, second = body.split()
    outcome = await send(es, name, first)
    outcome.add(await send(es, name, second))
    return outcome


def classify(answer: Mapping[str, Any], ids: Sequence[int]) -> WriteOutcome:
    """A 403 is a blocked index, not a bad document; a 404 with an error is a missing index, without one a deletion.

    A 400 is a bad document, unless the index is closed.
    """
    outcome = WriteOutcome()
    *results, noted = (next(iter(item.values())) for item in answer["items"])
    if noted.get("error") and noted["status"] != 409:
        # What is not noted must not count as written.
        return WriteOutcome(kept=dict.fromkeys(ids, _reason(noted["error"])))
    for trip_id, result in zip(ids, results, strict=True):
        status, error = result["status"], result.get("error")
        if status == 409:
            outcome.outdated += 1
        elif error and status == 400 and error["type"] != CLOSED:
            outcome.refused[trip_id] = _reason(error)
        elif error:
            outcome.missing |= error["type"] == "index_not_found_exception"
            outcome.kept[trip_id] = _reason(error)
    return outcome


def _reason(error: Mapping[str, Any]) -> str:
    return f"{error['type']}: {error.get('reason')}"[:1000]
