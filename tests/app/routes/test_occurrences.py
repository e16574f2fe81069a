from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import httpx2
import pytest

from schemas.enums import Status
from tests.app.routes.departures import DAY, NOBODY, OCCURRENCES, TRIPS, Rows, departures
from tests.conftest import TODAY
from tests.support.api.responses import get, get_ids, get_invalid_fields
from tests.support.factories import CatalogueFactory


async def test_list_has_future_departures_by_start(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    states: Rows = [
        {"start_date": TODAY + DAY},
        {"start_date": TODAY - DAY},
        {"start_date": TODAY},
        {"start_date": TODAY + DAY, "spots_left": 0},
        {"status": Status.CANCELLED},
        {"status": Status.FULL},
        {"start_date": TODAY + DAY, "status": Status.GUARANTEED},
    ]
    first, _, today, second, _, _, third = await departures(catalogue, states)
    assert await get_ids(api, OCCURRENCES) == [today, first, second, third]


async def test_list_includes_inactive_templates(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.occurrence(trip_template_id=await catalogue.template(is_active=False))
    assert await get_ids(api, OCCURRENCES) == [number]


async def test_detail_is_shown_in_any_status(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    guide = await catalogue.guide(name="Dana")
    template = await catalogue.template(base_price=Decimal("900"), default_max_capacity=20, image_url="t.jpg")
    number = await catalogue.occurrence(
        trip_template_id=template,
        guide_id=guide,
        start_date=date(2020, 2, 28),
        end_date=date(2020, 3, 1),
        price_override=Decimal("0.00"),
        status=Status.CANCELLED,
        spots_left=0,
    )
    data = (await get(api, f"{OCCURRENCES}/{number}"))["data"]
    assert (data["startDate"], data["endDate"], data["durationDays"]) == ("2020-02-28", "2020-03-01", 3)
    assert (data["effectivePrice"], data["priceOverride"]) == ("0.00", "0.00")
    assert (data["effectiveMaxCapacity"], data["maxCapacityOverride"]) == (20, None)
    assert (data["effectiveImageUrl"], data["imageUrlOverride"]) == ("t.jpg", None)
    assert (data["status"], data["spotsLeft"]) == ("Cancelled", 0)
    assert data["guide"]["name"] == "Dana"
    assert data["template"]["id"] == data["tripTemplateId"] == template


async def test_departure_without_guide_has_null(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    data = (await get(api, f"{OCCURRENCES}/{await catalogue.occurrence()}"))["data"]
    assert data["guideId"] is data["guide"] is None


async def test_template_can_be_omitted(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    guide = await catalogue.guide()
    number = await catalogue.occurrence(guide_id=guide, max_capacity_override=0)
    whole = (await get(api, OCCURRENCES))["data"][0]
    bare = (await get(api, OCCURRENCES, include_template="false"))["data"][0]
    assert whole.pop("template")["id"] == whole["tripTemplateId"]
    assert bare == whole
    assert (bare["id"], bare["guide"]["id"], bare["effectiveMaxCapacity"]) == (number, guide, 0)


async def test_template_and_guide_filter_the_list(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    guide, template = await catalogue.guide(), await catalogue.template()
    wanted = await catalogue.occurrence(trip_template_id=template, guide_id=guide)
    await catalogue.occurrence()
    for query in ({"template_id": template}, {"guide_id": guide}, {"template_id": template, "guide_id": guide}):
        assert await get_ids(api, OCCURRENCES, **query) == [wanted]
    for nobody in NOBODY:
        assert await get_ids(api, OCCURRENCES, template_id=nobody) == []
        assert await get_ids(api, OCCURRENCES, guide_id=nobody) == []


async def test_status_filter_takes_any_spelling(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    states: Rows = [{"status": status} for status in (Status.OPEN, Status.GUARANTEED, Status.LAST_PLACES)]
    is_open, guaranteed, last = await departures(catalogue, states)
    assert await get_ids(api, OCCURRENCES, status="OPEN") == [is_open]
    assert await get_ids(api, OCCURRENCES, status="guaranteed") == [guaranteed]
    for name in ("LAST_PLACES", "last_places", "Last Places", "last places"):
        assert await get_ids(api, OCCURRENCES, status=name) == [last]


@pytest.mark.parametrize("path", [OCCURRENCES, TRIPS])
async def test_unknown_status_is_rejected(api: httpx2.AsyncClient, path: str) -> None:
    for name in ("CANCELLED", "Full", "nothing", "\0", "OPEN;--", "0"):
        assert await get_invalid_fields(api, path, status=name) == ["status"]


async def test_dates_bound_the_start(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    starts = [date(2026, 12, 31), date(2027, 1, 1), date(2027, 1, 31), date(2028, 1, 15)]
    first, second, third, fourth = await departures(catalogue, [{"start_date": start} for start in starts])
    assert await get_ids(api, OCCURRENCES, year=2027) == [second, third]
    assert await get_ids(api, OCCURRENCES, month=1) == [second, third, fourth]
    assert await get_ids(api, OCCURRENCES, year=2028, month=1) == [fourth]
    assert await get_ids(api, OCCURRENCES, start_date="2027-01-01") == [second, third, fourth]
    assert await get_ids(api, OCCURRENCES, end_date="2027-01-01") == [first, second]
    assert await get_ids(api, OCCURRENCES, start_date="2027-01-01", end_date="2027-01-01") == [second]
    assert await get_ids(api, OCCURRENCES, start_date="2028-01-01", end_date="2027-01-01") == []
    assert await get_ids(api, OCCURRENCES, start_date="0001-01-01", end_date="9999-12-31") == [
        first,
        second,
        third,
        fourth,
    ]


async def test_price_filter_is_exact_to_the_cent(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    template = await catalogue.template(base_price=Decimal("1000.00"))
    prices = [None, Decimal("0.00"), Decimal("1000.01"), Decimal("99999999.99")]
    base, free, more, most = await departures(catalogue, [{"price_override": price} for price in prices], template)
    assert await get_ids(api, OCCURRENCES, min_price="1000") == [base, more, most]
    assert await get_ids(api, OCCURRENCES, min_price="1000.01") == [more, most]
    assert await get_ids(api, OCCURRENCES, max_price="1000.005") == [base, free]
    assert await get_ids(api, OCCURRENCES, max_price="0") == [free]
    assert await get_ids(api, OCCURRENCES, min_price="0.01", max_price="1e3") == [base]
    assert await get_ids(api, OCCURRENCES, max_price="9" * 400) == [base, free, more, most]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("template_id", ("x", "1.5", "\0", "0x1", "1;2")),
        ("guide_id", ("x",)),
        ("year", ("0", "10000", "all", "-2027", "9" * 5000)),
        ("month", ("0", "13", "May")),
        ("start_date", ("2027-13-01", "2027-02-29", "tomorrow", "1795500000", "\0")),
        ("end_date", ("2027-06-31", "24/11/2026")),
        ("min_price", ("cheap", "-1", "NaN", "Infinity", "1,000")),
        ("max_price", ("x", "-0.01")),
        ("include_template", ("perhaps", "\0")),
    ],
)
async def test_invalid_parameter_is_rejected(api: httpx2.AsyncClient, field: str, values: Sequence[str]) -> None:
    for value in values:
        assert await get_invalid_fields(api, OCCURRENCES, **{field: value}) == [field]


async def test_all_invalid_parameters_are_named(api: httpx2.AsyncClient) -> None:
    assert await get_invalid_fields(api, OCCURRENCES, year="x", month="x", limit="x") == ["limit", "year", "month"]


async def test_unknown_and_empty_parameters_are_ignored(api: httpx2.AsyncClient, catalogue: CatalogueFactory) -> None:
    number = await catalogue.occurrence()
    assert await get_ids(api, OCCURRENCES, year="", status="", start_date=" ", colour="red\0") == [number]
