"""Trips: templates, and their departures, which the public API calls occurrences."""

from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel

from app.backends.database import Database, ReadSession
from app.endpoints.cached_endpoint import ItemReader, detail_reader, trip_policy
from app.endpoints.endpoint import Endpoint
from app.http.errors import not_found
from app.repositories import departures, statistics, templates
from app.repositories.queries import Total
from app.repositories.trip_json import find_departures
from app.repositories.valid_rows import valid_items, valid_page
from schemas.api.entities import Departure, Template
from schemas.api.envelopes import DetailResponse, PageResponse, PageRows
from schemas.api.queries import OccurrencesQuery, PageQuery, TemplatesQuery, TripOccurrencesQuery
from schemas.api.trips import OccurrenceOnly, SchemaInfo, TemplateWithOccurrences
from schemas.invalidation_message import EntityKind

TEMPLATE_KINDS: tuple[EntityKind, ...] = ("template", "company", "country", "tag", "type")
DEPARTURE_KINDS: tuple[EntityKind, ...] = ("occurrence", "guide", *TEMPLATE_KINDS)

ENDPOINT_INDEX = {
    "companies": "/api/v2/companies",
    "templates": "/api/v2/templates",
    "occurrences": "/api/v2/occurrences",
    "trip_occurrences": "/api/v2/trip-occurrences",
    "recommendations": "/api/v2/recommendations",
    "schema_info": "/api/v2/schema-info",
}


async def list_templates(session: ReadSession, query: TemplatesQuery, today: date) -> BaseModel:
    found = await templates.find_templates(session, query)
    if not query.include_occurrences:
        return PageResponse[Template].of(await valid_page(Template, found), query)
    rows = await _with_next_departures(session, await valid_items(Template, found.rows), today)
    return PageResponse[TemplateWithOccurrences].of(PageRows(rows, found.total), query)


async def _with_next_departures(
    session: ReadSession, rows: Sequence[Template], today: date
) -> list[TemplateWithOccurrences]:
    upcoming = await departures.next_departures(session, [row.id for row in rows], today)
    shown: dict[int, list[OccurrenceOnly]] = {row.id: [] for row in rows}
    for departure in await valid_items(OccurrenceOnly, [one for found in upcoming.values() for one in found]):
        shown[departure.trip_template_id].append(departure)
    return [
        TemplateWithOccurrences.model_validate({**dict(row), "upcoming_occurrences": shown[row.id]}) for row in rows
    ]


async def list_template_departures(database: Database, template_id: int, total: Total, query: PageQuery) -> bytes:
    """Return the template's departures. Raises: ApiError 404, if there is no such template."""
    if not await templates.template_exists(database, template_id):
        raise not_found("Template")
    found = await departures.find_template_departures(database, template_id, query, total)
    return PageResponse[Departure].json_of(found, query)


async def list_bookable_departures(
    database: Database, total: Total, query: OccurrencesQuery, today: date
) -> BaseModel | bytes:
    if query.include_template:
        return PageResponse[Departure].json_of(await departures.find_bookable(database, query, today, total), query)
    found = await departures.find_bookable_only(database, query, today, total)
    return PageResponse[OccurrenceOnly].of(await valid_page(OccurrenceOnly, found), query)


async def list_available_departures(
    database: Database, total: Total, query: TripOccurrencesQuery, today: date
) -> bytes:
    return PageResponse[Departure].json_of(await departures.find_available(database, query, today, total), query)


async def get_schema_info(session: ReadSession, today: date) -> SchemaInfo:
    return SchemaInfo(statistics=await statistics.count_trips(session, today), endpoints=ENDPOINT_INDEX)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v2/templates",
        handler=list_templates,
        summary="List templates",
        description="Return a page of active templates by title, on request with their next departures.",
        tag="trips",
        fast_path=True,
        cache=trip_policy(
            *TEMPLATE_KINDS, optional_kinds={"include_occurrences": frozenset(DEPARTURE_KINDS)}, depends_on_date=True
        ),
        query=TemplatesQuery,
        response=PageResponse[Template | TemplateWithOccurrences],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/templates/{id:int}",
        handler=detail_reader(DetailResponse[Template], templates.get_template, thing="Template"),
        summary="Return a template",
        description="Return the template with this id, active or not.",
        tag="trips",
        fast_path=True,
        cache=trip_policy(*TEMPLATE_KINDS),
        response=DetailResponse[Template],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/templates/{id:int}/occurrences",
        handler=list_template_departures,
        summary="List a template's departures",
        description="Return a page of all departures of a template by start date, whatever their status.",
        tag="trips",
        fast_path=True,
        cache=trip_policy(*DEPARTURE_KINDS, shares_total=True),
        query=PageQuery,
        response=PageResponse[Departure],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/occurrences",
        handler=list_bookable_departures,
        summary="List bookable departures",
        description="Return a page of future departures by start date that are neither cancelled nor full.",
        tag="trips",
        fast_path=True,
        cache=trip_policy(*DEPARTURE_KINDS, depends_on_date=True, shares_total=True),
        query=OccurrencesQuery,
        response=PageResponse[Departure | OccurrenceOnly],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/occurrences/{id:int}",
        handler=ItemReader(DetailResponse[Departure], find_departures, thing="Occurrence"),
        summary="Return a departure",
        description="Return the departure with this id, whatever its status.",
        tag="trips",
        fast_path=True,
        cache=trip_policy(*DEPARTURE_KINDS, shows_departure=True),
        response=DetailResponse[Departure],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/trip-occurrences",
        handler=list_available_departures,
        summary="List departures with places left",
        description=(
            "Return future departures of active templates by start date, with places left. Private Groups have no "
            "fixed dates: of them every departure that can be booked is returned."
        ),
        tag="trips",
        fast_path=True,
        cache=trip_policy(*DEPARTURE_KINDS, depends_on_date=True, shares_total=True),
        query=TripOccurrencesQuery,
        response=PageResponse[Departure],
    ),
    Endpoint(
        method="GET",
        path="/api/v2/schema-info",
        handler=get_schema_info,
        summary="Return the schema version and row counts",
        description="Return the version of the platform's tables, how many rows they have, and the paths of this API.",
        tag="trips",
        fast_path=True,
        cache=trip_policy("occurrence", "template", "company", depends_on_date=True),
        response=SchemaInfo,
    ),
)
