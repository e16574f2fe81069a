"""Answers show what the contract names and nothing else; requests set what it names and nothing else."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.settings import Settings
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
    "/api/v2/companies/1/templates": (TEMPLATE, "data"),
    "/api/v2/templates": (TEMPLATE, "data"),
    "/api/v2/templates/1/occurrences": (OCCURRENCE, "data"),
    "/api/v2/occurrences": (OCCURRENCE, "data"),
    "/api/v2/trip-occurrences": (OCCURRENCE, "data"),
}
SINGLES = {
    "/api/countries/1": COUNTRY,
    "/api/guides/1": GUIDE,
    "/api/v2/companies/1": COMPANY | {"templateCount"},
    "/api/v2/templates/1": TEMPLATE,
    "/api/v2/occurrences/1": OCCURRENCE,
}


def assert_shows(entity: dict[str, Any], fields: set[str], template: set[str] = TEMPLATE) -> None:
    assert set(entity) == fields
    for name, shape in {**PARTS, "template": template}.items():
        part = entity.get(name)
        for inner in part if isinstance(part, list) else [part] if part else []:
            assert_shows(inner, shape)


@pytest.fixture
async def api(unlimited: Settings, catalogue: CatalogueFactory) -> Any:
    """Of a catalogue that has one of everything, all with the id 1."""
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


@pytest.mark.parametrize("path", LISTS)
async def test_lists_show_the_fields_of_the_contract_and_no_other(api: httpx2.AsyncClient, path: str) -> None:
    fields, name = LISTS[path]
    answer = (await api.get(path)).json()
    assert answer["count"] == 1
    assert_shows(answer[name][0], fields)


@pytest.mark.parametrize("path", SINGLES)
async def test_entities_show_the_fields_of_the_contract_and_no_other(api: httpx2.AsyncClient, path: str) -> None:
    assert_shows((await api.get(path)).json()["data"], SINGLES[path])


async def test_recommendations_show_the_fields_of_the_contract_and_no_other(
    api: httpx2.AsyncClient, unlimited: Settings
) -> None:
    await reindex(unlimited, lambda progress: None)
    (trip,) = (await api.post("/api/v2/recommendations", json={})).json()["data"]
    assert_shows(trip, RECOMMENDED, INDEXED_TEMPLATE)


FORGED = 987_654_321
LONG_AGO = "1987-06-05T04:03:02Z"
OTHERS_BUSINESS: dict[str, Any] = {
    **dict.fromkeys(("id", "user_id", "event_type_id", "total_sessions", "total_searches", "click_count"), FORGED),
    **dict.fromkeys(("user_agent", "phone", "name_he", "role", "event_data"), str(FORGED)),
    **dict.fromkeys(("created_at", "started_at", "ended_at", "timestamp", "first_seen_at"), LONG_AGO),
    "is_registered": True,
    "is_active": False,
    "app_metadata": {"role": "admin"},
    "ip_address": "203.0.113.9",
}


async def test_what_the_service_decides_cannot_be_sent(
    unlimited: Settings, database: AsyncEngine, redis: Redis
) -> None:
    visitor = {"session_id": str(uuid4()), "anonymous_id": str(uuid4()), **OTHERS_BUSINESS}
    headers = {"User-Agent": "a browser"}
    async with serving(unlimited) as api:
        started = await api.post("/api/session/start", json=visitor, headers=headers)
        known = await api.post("/api/user/identify", json=visitor)
        told = await api.post("/api/events", json={"event_type": "page_view", **visitor})
        many = await api.post("/api/events/batch", json={"events": [{"event_type": "page_view", **visitor}]})
    assert set(started.json()) == {"success", "user_id", "session_id", "is_new_session"}
    assert set(known.json()) == {"success", "user_id", "is_registered"}
    assert (told.status_code, many.status_code) == (202, 202)
    await drain(redis, database)
    (user,), (session,) = await rows(database, User), await rows(database, BrowsingSession)
    events = await rows(database, Event)
    assert len(events) == 2
    assert (user.id, user.is_registered, user.is_active) == (1, False, True)
    assert (session.id, session.user_id, session.user_agent, session.ended_at) == (1, 1, "a browser", None)
    assert (user.total_sessions, user.total_searches, session.click_count) == (1, 0, 0)
    stored = str([user, session, *events])
    assert not any(sign in stored for sign in (str(FORGED), "1987", "203.0.113", "admin"))
