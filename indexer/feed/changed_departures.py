"""The departures that a batch changes, before and after: caches compare them with the searches that they hold."""

from collections.abc import Collection, Mapping, Sequence

import structlog
from elasticsearch import ApiError, AsyncElasticsearch, TransportError
from msgspec import ValidationError, convert
from msgspec.structs import replace

from indexer.index.bulk_writer import Changes
from indexer.index.outbox import ClaimedRow
from indexer.unpublished_changes import ListedChanges
from schemas.index_document import SEARCHED_FIELDS, SearchedFields, decode_searched_fields
from schemas.invalidation_message import DEPARTURE, DepartureChange

log = structlog.get_logger()

MAX_CHANGES = 100
"""Departures of one message to caches; of more it says only that departures changed."""

READ_SECONDS = 1.0
"""Seconds to wait for what the index has: the write that follows must not wait for a server that hangs twice."""

Before = Mapping[int, SearchedFields | None]
"""What the index has of departures, by id."""


def are_comparable(rows: Collection[ClaimedRow]) -> bool:
    """Return whether what the index has of these departures is what caches know of.

    It is not if a batch wrote them that was killed before it could publish them.
    """
    departures = [row for row in rows if row.kind == DEPARTURE]
    return len(departures) <= MAX_CHANGES and not any(row.is_repeated for row in departures)


async def read_before(es: AsyncElasticsearch, index: str, trip_ids: Sequence[int]) -> Before | None:
    """Return what the index has, refreshed or not; None if it does not tell."""
    try:
        response = await es.options(request_timeout=READ_SECONDS).mget(
            index=index, ids=[str(trip_id) for trip_id in trip_ids], source_includes=[*SEARCHED_FIELDS]
        )
        return {
            trip_id: convert(found["_source"], SearchedFields) if found["found"] else None
            for trip_id, found in zip(trip_ids, response["docs"], strict=True)
        }
    except (ApiError, TransportError, KeyError, ValidationError) as error:
        log.info("departures_not_compared", error=type(error).__name__)
        return None


def compare(before: Before, written: Changes, unpublished: ListedChanges | None) -> ListedChanges | None:
    """Return the changes with what others have not published of them; None if that is not known, or too much.

    Fields that a departure keeps are in both of its states.
    """
    if unpublished is None or len(written) + len(unpublished.changes) > MAX_CHANGES:
        return None
    changes = [
        DepartureChange(trip_id, before[trip_id], None if document is None else decode_searched_fields(document))
        for trip_id, document in written.items()
    ]
    return replace(unpublished, changes=[*unpublished.changes, *changes])
