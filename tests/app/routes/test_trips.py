import httpx2
import pytest

from schemas.enums import Status
from tests.app.routes.departures import DAY, OCCURRENCES, TEMPLATES, TRIPS, Rows, departures
from tests.conftest import TODAY
from tests.support.api.responses import get, get_error, get_invalid_fields
from tests.support.factories import CatalogueFactory


@pytest.mark.parametrize("path", [TEMPLATES, OCCURRENCES, TRIPS])
async def test_pages_are_complete_and_disjoint(api: httpx2.AsyncClient, catalogue: CatalogueFactory, path: str) -> None:
    if path == TEMPLATES:
        numbers = [await catalogue.template(title="The same") for _ in range(7)]
    else:
        numbers = await departures(catalogue, [{}] * 7)
    seen: list[int] = []
    for offset in (0, 3, 6, 9):
        page = await get(api, path, limit=3, offset=offset)
        assert [page[name] for name in ("total", "offset", "limit")] == [7, offset, 3]
        seen += [entity["id"] for entity in page["data"]]
    assert seen == numbers


async def test_default_limit_is_fifty(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    await departures(catalogue, [{}] * 51)
    answer = await get(api, OCCURRENCES)
    assert [answer[name] for name in ("count", "total", "offset", "limit")] == [50, 51, 0, 50]


@pytest.mark.parametrize("path", [TEMPLATES, OCCURRENCES, TRIPS, "/api/v2/companies/1/templates"])
async def test_limit_and_offset_are_bounded(api: httpx2.AsyncClient, path: str) -> None:
    for limit in ("0", "-1", "x", "1.5", "9" * 30, "10001"):
        assert await get_invalid_fields(api, path, limit=limit) == ["limit"]
    for offset in ("-1", "10001", "x", "\0"):
        assert await get_invalid_fields(api, path, offset=offset) == ["offset"]


@pytest.mark.parametrize("path", [TEMPLATES, OCCURRENCES])
async def test_limit_is_at_most_a_hundred(api: httpx2.AsyncClient, path: str) -> None:
    assert (await get(api, path, limit=100, offset=10_000))["data"] == []
    assert await get_invalid_fields(api, path, limit=101) == ["limit"]


@pytest.mark.parametrize(
    ("path", "thing"),
    [
        ("/api/v2/templates/{}", "Template"),
        ("/api/v2/templates/{}/occurrences", "Template"),
        ("/api/v2/occurrences/{}", "Occurrence"),
    ],
)
async def test_unknown_id_is_not_found(api: httpx2.AsyncClient, path: str, thing: str) -> None:
    for number in (0, 2**31 - 1, 2**31, 10**18 - 1):
        answer = await get_error(api, path.format(number), 404)
        assert (answer["code"], answer["error"]) == ("not_found", f"{thing} not found")
    for no_number in ("x", "-1", "9" * 5000, "%00"):
        assert (await get_error(api, path.format(no_number), 404))["error"] == "Endpoint not found"


async def test_schema_info_counts_rows(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    active, inactive = await catalogue.template(), await catalogue.template(is_active=False)
    states: Rows = [{"start_date": TODAY}, {"start_date": TODAY - DAY}, {"status": Status.CANCELLED}]
    await departures(catalogue, states, active)
    await departures(catalogue, [{"status": Status.FULL}], inactive)
    answer = await get(api, "/api/v2/schema-info")
    assert answer["schema_version"] == "2.3"
    assert answer["statistics"] == {"companies": 2, "templates": 1, "occurrences": 3, "active_occurrences": 2}
    assert answer["endpoints"]["recommendations"] == "/api/v2/recommendations"
