"""Build index documents from rows, with a few statements per chunk of departures, whatever its size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from core.concurrency.bisection import process_with_bisection
from indexer.documents.rows import Row, fetch_rows, select_entity
from indexer.documents.templates import DocumentCache, TemplateDocument, read_guides, read_templates
from schemas import tables
from schemas.api import entities
from schemas.document_fields import check_ranges, departure_values
from schemas.row_errors import ROW_ERRORS, describe_row_error
from scoring.offered_start import offered_start

DEPARTURES = select_entity(tables.TripOccurrence, entities.OccurrenceFields)


@dataclass
class DocumentBatch:
    """Built documents and rejected rows. A departure that is in neither does not exist and must leave the index."""

    documents: dict[int, bytes] = field(default_factory=dict)
    """JSON of a TripDocument without `version`, by departure id."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Why a departure can't become a document, by departure id."""


async def build_documents(
    connection: AsyncConnection, ids: Iterable[int], cache: DocumentCache | None = None
) -> DocumentBatch:
    """Build the documents of departures. To be called within a `snapshot`.

    Bad rows affect only their own departures: a chunk that fails is bisected and read again.
    """
    documents = cache or DocumentCache()
    built = DocumentBatch()

    async def read(chunk: Sequence[int]) -> None:
        batch = await _read_chunk(connection, chunk, documents)
        built.documents |= batch.documents
        built.rejected |= batch.rejected

    async def reject(departure_id: int, error: Exception) -> None:
        built.rejected[departure_id] = describe_row_error(error)

    await process_with_bisection(sorted(set(ids)), read, reject, errors=ROW_ERRORS)
    return built


async def _read_chunk(connection: AsyncConnection, ids: Sequence[int], cache: DocumentCache) -> DocumentBatch:
    departures = await fetch_rows(connection, DEPARTURES, ids)
    templates = await read_templates(connection, {row["trip_template_id"] for row in departures}, cache)
    guides = await read_guides(connection, {row["guide_id"] for row in departures}, cache)
    batch = DocumentBatch()
    for row in departures:
        try:
            batch.documents[row["id"]] = make_document(row, templates[row["trip_template_id"]], guides[row["guide_id"]])
        except ROW_ERRORS as error:
            batch.rejected[row["id"]] = describe_row_error(error)
    return batch


def make_document(row: Row, template: TemplateDocument, guide: bytes) -> bytes:
    """Return the JSON of a TripDocument without `version`. Raises: one of ROW_ERRORS."""
    departure = entities.OccurrenceFields.model_validate({**row, "template": template.defaults})
    if departure.start_date == date.min or departure.end_date == date.max:
        raise ValueError("a departure without a first or last day")
    fields = {**template.fields, **departure_values(departure)}
    check_ranges(fields)
    trip = TRIP % (entities.to_json(departure)[:-1], template.trip, guide)
    return orjson.dumps({**fields, "offered_start": offered_start(fields), "trip": orjson.Fragment(trip)})


TRIP = b'%b,"template":%b,"guide":%b}'
"""JSON of a departure (without its closing brace), its template and its guide."""
