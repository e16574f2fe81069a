"""From rows to index documents: a few statements for a chunk of departures, whatever its size."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.documents.rows import Row, fetch_rows, select_entity
from indexer.documents.templates import DocumentCache, TemplateDocument, read_guides, read_templates
from schemas import tables
from schemas.api import entities
from schemas.document_fields import departure_values

OCCURRENCES = select_entity(tables.TripOccurrence, entities.OccurrenceFields)

ROW_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)
"""What a row raises that can't become a document; a server that fails raises something else."""


@dataclass
class DocumentBatch:
    """Departures that exist are in one of the two; those in neither are gone."""

    documents: dict[int, bytes] = field(default_factory=dict)
    """JSON text of a TripDocument without a version, by the departure's id."""
    refused: dict[int, str] = field(default_factory=dict)
    """Why a departure can't be shown, by its id."""


async def build_documents(
    connection: AsyncConnection, ids: Iterable[int], known: DocumentCache | None = None
) -> DocumentBatch:
    """Read in one `snapshot`. Bad rows cost only their own departures: a chunk that fails is read again in halves."""
    chunk = sorted(set(ids))
    known = known or DocumentCache()
    try:
        return await _read_chunk(connection, chunk, known)
    except ROW_ERRORS as error:
        if len(chunk) == 1:
            return DocumentBatch(refused={chunk[0]: _reason(error)})
    middle = len(chunk) // 2
    first = await build_documents(connection, chunk[:middle], known)
    second = await build_documents(connection, chunk[middle:], known)
    return DocumentBatch(first.documents | second.documents, first.refused | second.refused)


async def _read_chunk(connection: AsyncConnection, ids: list[int], known: DocumentCache) -> DocumentBatch:
    occurrences = await fetch_rows(connection, OCCURRENCES, ids)
    templates = await read_templates(connection, {row["trip_template_id"] for row in occurrences}, known)
    guides = await read_guides(connection, {row["guide_id"] for row in occurrences}, known)
    reading = DocumentBatch()
    for row in occurrences:
        try:
            reading.documents[row["id"]] = _document(row, templates[row["trip_template_id"]], guides[row["guide_id"]])
        except ROW_ERRORS as error:
            reading.refused[row["id"]] = _reason(error)
    return reading


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]


def _document(row: Row, template: TemplateDocument, guide: bytes) -> bytes:
    occurrence = entities.OccurrenceFields.model_validate({**row, "template": template.defaults})
    if occurrence.start_date == date.min or occurrence.end_date == date.max:
        raise ValueError("a departure without a first or last day")
    trip = TRIP % (entities.to_json(occurrence)[:-1], template.trip, guide)
    return orjson.dumps({**template.fields, **departure_values(occurrence), "trip": orjson.Fragment(trip)})


TRIP = b'%b,"template":%b,"guide":%b}'
"""A departure, still open, its template and its guide as one."""
