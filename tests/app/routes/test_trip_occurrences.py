import re
from typing import Any

import httpx2
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.repositories.departures import available_or_private
from schemas.enums import PRIVATE_GROUPS, Status
from schemas.tables import TripOccurrence
from tests.app.routes.departures import DAY, NOBODY, TRIPS, Rows, departures
from tests.conftest import TODAY
from tests.support.api.responses import get, get_ids, get_invalid_fields
from tests.support.factories import CatalogueFactory


async def test_list_has_bookable_of_active_templates(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    states: Rows = [
        {"start_date": TODAY + DAY},
        {"start_date": TODAY},
        {"start_date": TODAY - DAY},
        {"spots_left": 0},
        {"status": Status.CANCELLED},
        {"status": Status.FULL},
        {"start_date": TODAY + DAY, "spots_left": 1, "status": Status.LAST_PLACES},
    ]
    second, first, _, _, _, _, third = await departures(catalogue, states)
    await catalogue.occurrence(trip_template_id=await catalogue.template(is_active=False))
    assert await get_ids(api, TRIPS) == [first, second, third]


async def test_each_filter_narrows_the_list(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    country, kind, guide = await catalogue.country(), await catalogue.trip_type(), await catalogue.guide()
    template = await catalogue.template(trip_type_id=kind, primary_country_id=country, difficulty_level=5)
    wanted = await catalogue.occurrence(
        trip_template_id=template, guide_id=guide, status=Status.GUARANTEED, spots_left=1
    )
    await catalogue.occurrence()
    filters = {"trip_type_id": kind, "country_id": country, "guide_id": guide, "difficulty": 5}
    for name, value in {**filters, "status": "guaranteed"}.items():
        assert await get_ids(api, TRIPS, **{name: value}) == [wanted]
    for name in filters:
        for nobody in NOBODY:
            assert await get_ids(api, TRIPS, **{**filters, name: nobody}) == []


async def test_country_filter_uses_primary_country(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    primary, visited = await catalogue.country(), await catalogue.country()
    template = await catalogue.template(primary_country_id=primary, countries=[primary, visited])
    number = await catalogue.occurrence(trip_template_id=template)
    assert await get_ids(api, TRIPS, country_id=primary) == [number]
    assert await get_ids(api, TRIPS, country_id=visited) == []


async def test_list_of_a_type_reads_no_past_departures(database: AsyncEngine) -> None:
    listed = select(TripOccurrence.id).where(*available_or_private(1, TODAY))
    sql = listed.compile(dialect=database.dialect, compile_kwargs={"literal_binds": True})
    async with database.begin() as connection:
        # Of so few rows the planner would read all.
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(await connection.scalars(text(f"EXPLAIN {sql}")))
    assert re.search(r"Index Cond: .*start_date >= ", plan), plan


async def test_private_groups_ignore_dates_and_places(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    private, other = await catalogue.trip_type(name=PRIVATE_GROUPS), await catalogue.trip_type()
    states: Rows = [
        {"start_date": TODAY - DAY},
        {"spots_left": 0},
        {"status": Status.FULL},
        {"status": Status.CANCELLED},
    ]
    past, full, _, _ = await departures(catalogue, states, await catalogue.template(trip_type_id=private))
    await departures(catalogue, states, await catalogue.template(trip_type_id=other))
    assert await get_ids(api, TRIPS, trip_type_id=private) == [past, full]
    assert await get_ids(api, TRIPS, trip_type_id=other) == []
    assert await get_ids(api, TRIPS) == []


async def test_private_groups_default_to_type_ten(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    ten = await catalogue.trip_type(id=10, name="Groups")
    past: dict[str, Any] = {"start_date": TODAY - DAY}
    (number,) = await departures(catalogue, [past], await catalogue.template(trip_type_id=ten))
    assert await get_ids(api, TRIPS, trip_type_id=10) == [number]


async def test_default_limit_lists_all(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    numbers = await departures(catalogue, [{}] * 120)
    answer = await get(api, TRIPS)
    assert [trip["id"] for trip in answer["data"]] == numbers
    assert answer["total"] == 120
    assert await get_ids(api, TRIPS, limit=2, offset=118) == numbers[118:]


async def test_limit_is_at_most_a_thousand(api: httpx2.AsyncClient) -> None:
    assert (await get(api, TRIPS, limit=1000))["limit"] == 1000
    assert await get_invalid_fields(api, TRIPS, limit=1001) == ["limit"]
