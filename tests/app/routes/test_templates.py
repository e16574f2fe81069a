from decimal import Decimal
from typing import Any

import httpx2

from schemas.enums import Status
from tests.app.routes.departures import DAY, NOBODY, TEMPLATES, Rows, departures
from tests.conftest import TODAY
from tests.support.api.responses import get, get_ids
from tests.support.factories import CatalogueFactory


async def test_list_has_active_templates_by_title(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    second = await catalogue.template(title="B")
    third = await catalogue.template(title="B")
    await catalogue.template(title="A", is_active=False)
    first = await catalogue.template(title="A")
    assert await get_ids(api, TEMPLATES) == [first, second, third]


async def test_each_filter_narrows_the_list(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    country, kind, company = await catalogue.country(), await catalogue.trip_type(), await catalogue.company()
    plain: dict[str, Any] = {
        "company_id": company,
        "trip_type_id": kind,
        "difficulty_level": 4,
        "primary_country_id": country,
    }
    wanted = await catalogue.template(**plain)
    await catalogue.template()
    filters = {"company_id": company, "trip_type_id": kind, "difficulty": 4, "country_id": country}
    for name, value in filters.items():
        assert await get_ids(api, TEMPLATES, **{name: value}) == [wanted]
        for nobody in NOBODY:
            assert await get_ids(api, TEMPLATES, **{**filters, name: nobody}) == []
    assert await get_ids(api, TEMPLATES, **filters) == [wanted]


async def test_country_filter_takes_any_country(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    first, second, third = [await catalogue.country() for _ in range(3)]
    both = await catalogue.template(countries=[first, second], primary_country_id=first, title="A")
    one = await catalogue.template(countries=[second], primary_country_id=second, title="B")
    assert await get_ids(api, TEMPLATES, country_id=first) == [both]
    assert await get_ids(api, TEMPLATES, country_id=second) == [both, one]
    assert await get_ids(api, TEMPLATES, country_id=third) == []


async def test_template_is_complete(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    countries = [await catalogue.country() for _ in range(3)]
    tags = [await catalogue.tag() for _ in range(2)]
    kind, company = await catalogue.trip_type(), await catalogue.company(is_active=False)
    number = await catalogue.template(
        title="Andes",
        title_he="האנדים",
        base_price=Decimal("1500"),
        company_id=company,
        trip_type_id=kind,
        primary_country_id=countries[0],
        properties={"a": [1, None]},
        is_active=False,
        countries=list(reversed(countries)),
        tags=tags[::-1],
    )
    data = (await get(api, f"{TEMPLATES}/{number}"))["data"]
    assert data["basePrice"] == "1500.00"
    assert data["singleSupplementPrice"] is None
    assert data["isActive"] is False
    assert data["properties"] == {"a": [1, None]}
    assert data["company"]["id"] == data["companyId"] == company
    assert data["tripType"]["id"] == data["tripTypeId"] == kind
    assert data["primaryCountry"]["id"] == data["primaryCountryId"] == countries[0]
    assert [country["id"] for country in data["countries"]] == countries[::-1]
    assert [tag["id"] for tag in data["tags"]] == tags
    assert "upcomingOccurrences" not in data


async def test_next_departures_are_optional(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.template(title="A")
    without = await catalogue.template(title="B")
    states: Rows = [
        {"start_date": TODAY - DAY},
        {"start_date": TODAY + DAY, "status": Status.CANCELLED},
        {"start_date": TODAY + 9 * DAY},
        {"start_date": TODAY, "status": Status.FULL},
        {"start_date": TODAY + 2 * DAY},
        {"start_date": TODAY + 2 * DAY},
        {"start_date": TODAY + 4 * DAY},
        {"start_date": TODAY + 3 * DAY},
    ]
    _, _, _, full, first, second, fourth, third = await departures(catalogue, states, number)
    answer = await get(api, TEMPLATES, include_occurrences="true")
    assert [template["id"] for template in answer["data"]] == [number, without]
    upcoming, none = [template["upcomingOccurrences"] for template in answer["data"]]
    assert [occurrence["id"] for occurrence in upcoming] == [full, first, second, third, fourth]
    assert none == []
    assert "template" not in upcoming[0]
    assert upcoming[0]["effectivePrice"] == "1000.00"
    assert "upcomingOccurrences" not in (await get(api, TEMPLATES))["data"][0]


async def test_template_departures_are_all_by_start(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.template(is_active=False)
    states: Rows = [
        {"start_date": TODAY + DAY, "status": Status.CANCELLED},
        {"start_date": TODAY - DAY, "status": Status.FULL},
        {"start_date": TODAY + DAY},
    ]
    cancelled, past, coming = await departures(catalogue, states, number)
    await catalogue.occurrence()
    path = f"{TEMPLATES}/{number}/occurrences"
    assert await get_ids(api, path) == [past, cancelled, coming]
    page = await get(api, path, limit=1, offset=2)
    assert [page[name] for name in ("count", "total", "offset", "limit")] == [1, 3, 2, 1]
    assert page["data"][0]["template"]["id"] == number
