import httpx2
import pytest

from schemas.enums import Continent, Gender
from tests.support.api.responses import get, get_error, get_ids, get_invalid_fields
from tests.support.factories import CatalogueFactory

STAMPS = {"createdAt": "2026-11-01T09:30:00Z", "updatedAt": "2026-11-01T09:30:00Z"}


@pytest.fixture
async def world(catalogue: CatalogueFactory) -> dict[str, int]:
    """Countries of three continents, named so that English and Hebrew orders differ."""
    return {
        "peru": await catalogue.country(name="Peru", name_he="ב", continent=Continent.SOUTH_AMERICA),
        "iran": await catalogue.country(name="Iran", name_he="ג", continent=Continent.ASIA),
        "antarctica": await catalogue.country(name="Antarctica", name_he="א", continent=Continent.ANTARCTICA),
        "china": await catalogue.country(name="China", name_he="ד", continent=Continent.ASIA),
    }


async def test_locations_are_ordered_by_hebrew_name(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    answer = await get(api, "/api/locations")
    assert answer["count"] == 4
    assert [country["id"] for country in answer["countries"]] == [
        world["antarctica"],
        world["peru"],
        world["iran"],
        world["china"],
    ]


async def test_locations_list_present_continents(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    assert (await get(api, "/api/locations"))["continents"] == [
        {"value": "Antarctica", "nameHe": "אנטארקטיקה"},
        {"value": "Asia", "nameHe": "אסיה"},
        {"value": "South America", "nameHe": "דרום אמריקה"},
    ]


async def test_empty_catalogue_has_no_locations(api: httpx2.AsyncClient) -> None:
    assert await get(api, "/api/locations") == {"success": True, "count": 0, "countries": [], "continents": []}


async def test_country_shows_continent_display_name(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.country(name="Cuba", name_he="קובה", continent=Continent.NORTH_AND_CENTRAL_AMERICA)
    country = {"id": number, "name": "Cuba", "nameHe": "קובה", "continent": "North & Central America", **STAMPS}
    assert await get(api, f"/api/countries/{number}") == {"success": True, "data": country}
    assert await get(api, "/api/countries") == {"success": True, "count": 1, "data": [country]}


async def test_countries_are_by_name_without_antarctica(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    assert await get_ids(api, "/api/countries") == [world["china"], world["iran"], world["peru"]]


async def test_continent_filter_takes_both_names(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    for name in ("Asia", "ASIA", "asia", " asia "):
        assert await get_ids(api, "/api/countries", continent=name) == [world["china"], world["iran"]]
    for name in ("SOUTH_AMERICA", "South America", "south america"):
        assert await get_ids(api, "/api/countries", continent=name) == [world["peru"]]


async def test_continent_without_countries_lists_none(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    assert await get_ids(api, "/api/countries", continent="Oceania") == []


async def test_unknown_continent_is_rejected(api: httpx2.AsyncClient) -> None:
    for name in ("Atlantis", "0", "\0", "\ud7ff\uffff", "א" * 3000, "Asia'--"):
        assert await get_invalid_fields(api, "/api/countries", continent=name) == ["continent"]


async def test_empty_continent_is_no_filter(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    assert len(await get_ids(api, "/api/countries", continent="")) == 3


async def test_antarctica_is_found_by_id(api: httpx2.AsyncClient, world: dict[str, int]) -> None:
    answer = await get(api, f"/api/countries/{world['antarctica']}")
    assert answer["data"]["name"] == "Antarctica"


async def test_guides_are_active_and_by_name(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    second, first = await catalogue.guide(name="B"), await catalogue.guide(name="A")
    await catalogue.guide(name="Retired", is_active=False)
    last = await catalogue.guide(name="B")
    assert await get_ids(api, "/api/guides") == [first, second, last]


async def test_inactive_guide_is_found_by_id(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.guide(
        name="Dana", name_he="", email="dana@example.com", gender=Gender.OTHER, age=40, is_active=False
    )
    assert await get(api, f"/api/guides/{number}") == {
        "success": True,
        "data": {
            "id": number,
            "name": "Dana",
            "nameHe": None,
            "email": "dana@example.com",
            "phone": None,
            "gender": "Other",
            "age": 40,
            "bio": None,
            "bioHe": None,
            "imageUrl": None,
            "isActive": False,
            **STAMPS,
        },
    }


@pytest.mark.parametrize(("path", "kind"), [("/api/trip-types", "trip_type"), ("/api/tags", "tag")])
async def test_types_and_tags_are_by_name(
    api: httpx2.AsyncClient, catalogue: CatalogueFactory, path: str, kind: str
) -> None:
    add = getattr(catalogue, kind)
    second = await add(name="Hiking", name_he="", description="On foot")
    first = await add(name="Cruises", name_he="הפלגות")
    assert await get(api, path) == {
        "success": True,
        "count": 2,
        "data": [
            {"id": first, "name": "Cruises", "nameHe": "הפלגות", "description": None, **STAMPS},
            {"id": second, "name": "Hiking", "nameHe": None, "description": "On foot", **STAMPS},
        ],
    }


async def test_companies_are_active_and_by_name(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    second, first = await catalogue.company(name="B"), await catalogue.company(name="A")
    await catalogue.company(name="Closed", is_active=False)
    assert await get_ids(api, "/api/v2/companies") == [first, second]


async def test_company_counts_its_active_templates(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number, other = await catalogue.company(name="North", is_active=False), await catalogue.company()
    for company, is_active in ((number, True), (number, True), (number, False), (other, True)):
        await catalogue.template(company_id=company, is_active=is_active)
    data = (await get(api, f"/api/v2/companies/{number}"))["data"]
    assert (data["name"], data["isActive"], data["templateCount"]) == ("North", False, 2)


async def test_listed_company_has_no_template_count(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    await catalogue.company()
    assert "templateCount" not in (await get(api, "/api/v2/companies"))["data"][0]


async def test_company_templates_are_active_and_by_title(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.company(is_active=False)
    second = await catalogue.template(company_id=number, title="B")
    first = await catalogue.template(company_id=number, title="A")
    third = await catalogue.template(company_id=number, title="B")
    await catalogue.template(company_id=number, is_active=False)
    await catalogue.template()
    path = f"/api/v2/companies/{number}/templates"
    assert await get_ids(api, path) == [first, second, third]
    page = await get(api, path, limit=1, offset=1)
    assert [page[name] for name in ("count", "total", "offset", "limit")] == [1, 3, 1, 1]
    assert page["data"][0]["id"] == second


async def test_company_without_templates_has_empty_page(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    answer = await get(api, f"/api/v2/companies/{await catalogue.company()}/templates")
    assert answer == {"success": True, "count": 0, "total": 0, "offset": 0, "limit": 50, "data": []}


BY_ID = [
    ("/api/countries/{}", "Country"),
    ("/api/guides/{}", "Guide"),
    ("/api/v2/companies/{}", "Company"),
    ("/api/v2/companies/{}/templates", "Company"),
]


@pytest.mark.parametrize(("path", "thing"), BY_ID)
async def test_unknown_id_is_not_found(api: httpx2.AsyncClient, path: str, thing: str) -> None:
    for number in (0, 2**31 - 1, 2**31, 10**18 - 1):
        answer = await get_error(api, path.format(number), 404)
        assert (answer["code"], answer["error"]) == ("not_found", f"{thing} not found")


@pytest.mark.parametrize(("path", "thing"), BY_ID)
async def test_path_without_valid_id_is_no_endpoint(api: httpx2.AsyncClient, path: str, thing: str) -> None:
    for number in ("abc", "-1", "1.5", "%00", "１", "1%2F2", "9" * 5000, ""):
        answer = await get_error(api, path.format(number), 404)
        assert answer["error"] == "Endpoint not found"
