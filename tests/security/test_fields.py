"""Responses show the fields of the contract and no others; requests set the fields of the contract and no others."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.tables import BrowsingSession, Event, User
from tests.support.api.serving import serving
from tests.support.factories import CatalogueFactory
from tests.support.rows import rows
from tests.support.tracking.visits import drain

STAMPS = {"createdAt", "updatedAt"}
COUNTRY = {"id", "name", "nameHe", "continent", *STAMPS}
TAG = {"id", "name", "nameHe", "description", *STAMPS}
GUIDE = {
    *{"id", "name", "nameHe", "email", "phone", "gender", "age", "bio", "bioHe", "imageUrl", "isActive"},
    *STAMPS,
}
COMPANY = {
    *{"id", "name", "nameHe", "description", "descriptionHe", "logoUrl", "websiteUrl", "email", "phone", "address"},
    *{"isActive", *STAMPS},
}
INDEXED_TEMPLATE = {
    *{"id", "title", "titleHe", "description", "descriptionHe", "shortDescription", "shortDescriptionHe", "imageUrl"},
    *{"basePrice", "singleSupplementPrice", "typicalDurationDays", "defaultMaxCapacity", "difficultyLevel"},
    *{"companyId", "tripTypeId", "primaryCountryId", "isActive", "properties", *STAMPS},
    *{"company", "tripType", "primaryCountry", "tags"},
}
TEMPLATE = {*INDEXED_TEMPLATE, "countries"}
OCCURRENCE_ONLY = {
    *{"id", "tripTemplateId", "guideId", "startDate", "endDate", "priceOverride", "singleSupplementOverride"},
    *{"maxCapacityOverride", "spotsLeft", "status", "imageUrlOverride", "notes", "notesHe", "properties", *STAMPS},
    *{"effectivePrice", "effectiveMaxCapacity", "effectiveImageUrl", "durationDays", "guide"},
}
OCCURRENCE = {*OCCURRENCE_ONLY, "template"}
RECOMMENDED = {*OCCURRENCE, "match_score", "match_details", "score_breakdown", "is_relaxed"}

RECOMMENDATIONS = "POST /api/v2/recommendations"

PARTS = {
    "company": COMPANY,
    "tripType": TAG,
    "primaryCountry": COUNTRY,
    "countries": COUNTRY,
    "tags": TAG,
    "guide": GUIDE,
    "upcomingOccurrences": OCCURRENCE_ONLY | {"template"},
}

LISTS = {
    "/api/locations": (COUNTRY, "countries"),
    "/api/countries": (COUNTRY, "data"),
    "/api/guides": (GUIDE, "data"),
    "/api/trip-types": (TAG, "data"),
    "/api/tags": (TAG, "data"),
    "/api/v2/companies": (COMPANY, "data"),
    "/api/v2/companies/{id:int}/templates": (TEMPLATE, "data"),
    "/api/v2/templates": (TEMPLATE, "data"),
    "/api/v2/templates/{id:int}/occurrences": (OCCURRENCE, "data"),
    "/api/v2/occurrences": (OCCURRENCE, "data"),
    "/api/v2/trip-occurrences": (OCCURRENCE, "data"),
}
DETAILS = {
    "/api/countries/{id:int}": COUNTRY,
    "/api/guides/{id:int}": GUIDE,
    "/api/v2/companies/{id:int}": COMPANY | {"templateCount"},
    "/api/v2/templates/{id:int}": TEMPLATE,
    "/api/v2/occurrences/{id:int}": OCCURRENCE,
}
OTHERS = {
    "POST /api/session/start": "is_new_session session_id success user_id",
    "POST /api/user/identify": "is_registered success user_id",
    "POST /api/events": "event_id success",
    "POST /api/events/batch": "error errors index processed success total",
    "GET /api/events/types": "categories event_types success valid_sources",
    "GET /api/v2/schema-info": (
        "active_occurrences companies endpoints occurrences schema_version statistics success templates"
    ),
    "GET /livez": "status",
    "GET /readyz": "status",
    "GET /": "documentation service status version",
    "GET /api/health": (
        "breakers countries database dependencies elasticsearch guides postgres redis schema service "
        "status tags trip_occurrences trip_templates trip_types version"
    ),
    "GET /api/metrics": (
        "avg_response_time_ms avg_top_score data no_results_rate p95_response_time_ms period "
        "relaxed_trigger_rate success total_requests unique_sessions"
    ),
    "GET /api/metrics/daily": (
        "avg_response_time_ms avg_result_count avg_top_score count data date end low_score_rate "
        "max_response_time_ms no_results_rate p50_response_time_ms p95_response_time_ms "
        "p99_response_time_ms relaxed_trigger_rate searches_with_budget searches_with_continent "
        "searches_with_country searches_with_dates searches_with_themes searches_with_type start success "
        "total_requests unique_sessions"
    ),
    "GET /api/metrics/top-searches": "count data id name success top_continents top_countries top_themes top_types",
    "GET /api/evaluation/scenarios": "category count data description expected_min_results id name success",
    "POST /api/evaluation/run": (
        "failed failures id name passed result_count results success top_score total_scenarios"
    ),
    "POST /api/admin/reindex": "message success",
    "GET /api/admin/index": (
        "alias attempts created_at data dead_letters departures documents done events generation index "
        "name oldest_seconds outbox rate rebuilding reindex rows seconds seconds_left state success "
        "targets total"
    ),
    "POST /api/admin/verify": (
        "checked data differences drifted fields in_sync lagging refused repaired seconds success trip_id"
    ),
    "POST /api/admin/rollback": "index success",
    "GET /api/admin/dead-letters": "body count created_at data id limit offset reason success total",
    "POST /api/admin/dead-letters/retry": "retried success",
}
"""Fields at any depth of the responses that show no entities."""


def assert_shows(entity: dict[str, Any], fields: set[str], template: set[str] = TEMPLATE) -> None:
    assert set(entity) == fields
    for name, shape in {**PARTS, "template": template}.items():
        part = entity.get(name)
        for inner in part if isinstance(part, list) else [part] if part else []:
            assert_shows(inner, shape)


@pytest.fixture
async def api(unlimited: Settings, catalogue: CatalogueFactory) -> Any:
    """A client of a service whose catalogue has one entity of each kind, all with id 1."""
    country, tag, trip_type = await catalogue.country(), await catalogue.tag(), await catalogue.trip_type()
    template = await catalogue.template(
        trip_type_id=trip_type,
        primary_country_id=country,
        countries=[country],
        tags=[tag],
        properties={"any": "thing"},
        legacy_trip_id=77,
    )
    await catalogue.occurrence(
        trip_template_id=template, guide_id=await catalogue.guide(), properties={"any": "thing"}, legacy_trip_id=77
    )
    async with serving(unlimited) as client:
        yield client


def test_fields_of_every_endpoint_are_listed() -> None:
    with_model = {f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS if endpoint.response}
    with_entities = {f"GET {path}" for path in (*LISTS, *DETAILS)} | {RECOMMENDATIONS}
    assert with_entities | {*OTHERS} == with_model


@pytest.mark.parametrize("path", LISTS)
async def test_list_shows_the_fields_of_the_contract(api: httpx2.AsyncClient, path: str) -> None:
    fields, name = LISTS[path]
    body = (await api.get(path.replace("{id:int}", "1"))).json()
    assert body["count"] == 1
    assert_shows(body[name][0], fields)


@pytest.mark.parametrize("path", DETAILS)
async def test_detail_shows_the_fields_of_the_contract(api: httpx2.AsyncClient, path: str) -> None:
    assert_shows((await api.get(path.replace("{id:int}", "1"))).json()["data"], DETAILS[path])


@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if f"{one.method} {one.path}" in OTHERS], ids=lambda one: one.path
)
def test_other_response_has_the_fields_of_the_contract(endpoint: Endpoint) -> None:
    assert endpoint.response is not None
    schema = endpoint.response.model_json_schema(mode="serialization")
    models = (schema, *schema.get("$defs", {}).values())
    fields = {name for model in models for name in model.get("properties", ())}
    assert fields == {*OTHERS[f"{endpoint.method} {endpoint.path}"].split()}


async def test_recommendations_show_the_fields_of_the_contract(api: httpx2.AsyncClient, unlimited: Settings) -> None:
    await reindex(unlimited, lambda progress: None)
    (trip,) = (await api.post("/api/v2/recommendations", json={})).json()["data"]
    assert_shows(trip, RECOMMENDED, INDEXED_TEMPLATE)


FORGED = 987_654_321
FORGED_TIME = "1987-06-05T04:03:02Z"
SERVICE_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("id", "user_id", "event_type_id", "total_sessions", "total_searches", "click_count"), FORGED),
    **dict.fromkeys(("user_agent", "phone", "name_he", "role", "event_data"), str(FORGED)),
    **dict.fromkeys(("created_at", "started_at", "ended_at", "timestamp", "first_seen_at"), FORGED_TIME),
    "is_registered": True,
    "is_active": False,
    "app_metadata": {"role": "admin"},
    "ip_address": "203.0.113.9",
}


async def test_fields_of_the_service_cannot_be_set(unlimited: Settings, database: AsyncEngine, redis: Redis) -> None:
    visitor = {"session_id": str(uuid4()), "anonymous_id": str(uuid4()), **SERVICE_FIELDS}
    headers = {"User-Agent": "a browser"}
    async with serving(unlimited) as api:
        started = await api.post("/api/session/start", json=visitor, headers=headers)
        identified = await api.post("/api/user/identify", json=visitor)
        event = await api.post("/api/events", json={"event_type": "page_view", **visitor})
        batch = await api.post("/api/events/batch", json={"events": [{"event_type": "page_view", **visitor}]})
    assert set(started.json()) == {"success", "user_id", "session_id", "is_new_session"}
    assert set(identified.json()) == {"success", "user_id", "is_registered"}
    assert (event.status_code, batch.status_code) == (202, 202)
    await drain(redis, database)
    (user,), (session,) = await rows(database, User), await rows(database, BrowsingSession)
    events = await rows(database, Event)
    assert len(events) == 2
    assert (user.id, user.is_registered, user.is_active) == (1, False, True)
    assert (session.id, session.user_id, session.user_agent, session.ended_at) == (1, 1, "a browser", None)
    assert (user.total_sessions, user.total_searches, session.click_count) == (1, 0, 0)
    stored = str([user, session, *events])
    assert not any(value in stored for value in (str(FORGED), "1987", "203.0.113", "admin"))
