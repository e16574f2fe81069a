"""Trips: templates, and occurrences, which are their dated departures."""

from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel
from starlette.responses import Response

from app.backends.database import ReadSession
from app.endpoints.cached import cached_json, detail_endpoint, trip_policy
from app.endpoints.endpoint import Endpoint
from app.http.errors import not_found
from app.repositories import departures
from app.repositories import templates as trips
from app.repositories.statistics import statistics
from app.state import ApiRequest
from schemas.api.entities import Departure, Template
from schemas.api.envelopes import DetailResponse, PageResponse, PageRows
from schemas.api.queries import OccurrencesQuery, PageQuery, TemplatesQuery, TripOccurrencesQuery
from schemas.api.trips import OccurrenceOnly, SchemaInfo, TemplateWithOccurrences
from schemas.tables import TripTemplate

TEMPLATES = trip_policy("template", "company", "country", "tag", "type")
OCCURRENCES = trip_policy("occurrence", "template", "company", "guide", "country", "tag", "type")
STATISTICS = trip_policy("occurrence", "template", "company")

ENDPOINT_INDEX = {
    "companies": "/api/v2/companies",
    "templates": "/api/v2/templates",
    "occurrences": "/api/v2/occurrences",
    "trip_occurrences": "/api/v2/trip-occurrences",
    "recommendations": "/api/v2/recommendations",
    "schema_info": "/api/v2/schema-info",
}


async def templates(request: ApiRequest, query: TemplatesQuery) -> Response:
    today = request.state["today"]()

    async def read(session: ReadSession) -> BaseModel:
        found = await trips.find_templates(session, query)
        if not query.include_occurrences:
            return PageResponse[Template].of(found, query)
        rows = await _with_occurrences(session, found.rows, today)
        return PageResponse[TemplateWithOccurrences].of(PageRows(rows, found.total), query)

    keeping = OCCURRENCES if query.include_occurrences else TEMPLATES
    return await cached_json(request, keeping, f"templates:{today}:{query.model_dump_json()}", read)


async def _with_occurrences(
    session: ReadSession, rows: Sequence[TripTemplate], today: date
) -> list[TemplateWithOccurrences]:
    upcoming = await departures.next_departures(session, [row.id for row in rows], today)
    return [
        TemplateWithOccurrences.model_validate(
            {**dict(Template.model_validate(row)), "upcoming_occurrences": upcoming[row.id]}
        )
        for row in rows
    ]


async def template_occurrences(request: ApiRequest, query: PageQuery) -> Response:
    number: int = request.path_params["id"]

    async def read(session: ReadSession) -> PageResponse[Departure]:
        if not await trips.template_exists(session, number):
            raise not_found("Template")
        return PageResponse[Departure].of(await departures.occurrences_of(session, number, query), query)

    return await cached_json(request, OCCURRENCES, f"template:{number}:occurrences:{query.model_dump_json()}", read)


async def occurrences(request: ApiRequest, query: OccurrencesQuery) -> Response:
    today = request.state["today"]()

    async def read(session: ReadSession) -> BaseModel:
        found = await departures.find_occurrences(session, query, today)
        envelope = PageResponse[Departure] if query.include_template else PageResponse[OccurrenceOnly]
        return envelope.of(found, query)

    return await cached_json(request, OCCURRENCES, f"occurrences:{today}:{query.model_dump_json()}", read)


async def trip_occurrences(request: ApiRequest, query: TripOccurrencesQuery) -> Response:
    today = request.state["today"]()

    async def read(session: ReadSession) -> PageResponse[Departure]:
        return PageResponse[Departure].of(await departures.find_available(session, query, today), query)

    return await cached_json(request, OCCURRENCES, f"trip-occurrences:{today}:{query.model_dump_json()}", read)


async def schema_info(request: ApiRequest) -> Response:
    today = request.state["today"]()

    async def read(session: ReadSession) -> SchemaInfo:
        return SchemaInfo(statistics=await statistics(session, today), endpoints=ENDPOINT_INDEX)

    return await cached_json(request, STATISTICS, f"schema-info:{today}", read)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v2/templates",
        handler=templates,
        summary="Active templates by title, with their next departures if asked for",
        tag="trips",
        fast_path=True,
        query=TemplatesQuery,
        answer=PageResponse[Template | TemplateWithOccurrences],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/templates/{id:int}",
        handler=detail_endpoint(TEMPLATES, DetailResponse[Template], trips.template, thing="Template"),
        summary="A template, also an inactive one",
        tag="trips",
        fast_path=True,
        answer=DetailResponse[Template],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/templates/{id:int}/occurrences",
        handler=template_occurrences,
        summary="All departures of a template by start",
        tag="trips",
        fast_path=True,
        query=PageQuery,
        answer=PageResponse[Departure],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/occurrences",
        handler=occurrences,
        summary="Departures to come by start, neither cancelled nor full",
        tag="trips",
        fast_path=True,
        query=OccurrencesQuery,
        answer=PageResponse[Departure | OccurrenceOnly],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/occurrences/{id:int}",
        handler=detail_endpoint(OCCURRENCES, DetailResponse[Departure], departures.occurrence, thing="Departure"),
        summary="A departure, whatever its state",
        tag="trips",
        fast_path=True,
        answer=DetailResponse[Departure],
        errors=(404, 503),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/trip-occurrences",
        handler=trip_occurrences,
        summary="Departures of active templates with places left by start; of Private Groups all that can be booked",
        tag="trips",
        fast_path=True,
        query=TripOccurrencesQuery,
        answer=PageResponse[Departure],
        errors=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/v2/schema-info",
        handler=schema_info,
        summary="Version of the tables and how much they hold",
        tag="trips",
        fast_path=True,
        answer=SchemaInfo,
        errors=(503,),
    ),
)
