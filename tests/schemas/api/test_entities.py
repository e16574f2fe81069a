from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from schemas.api.entities import (
    Country,
    Departure,
    Entity,
    Guide,
    RecommendedDeparture,
    Tag,
    Template,
    TripType,
    to_json,
)
from schemas.enums import Continent, Gender

STAMPS = {
    "created_at": datetime.fromisoformat("2026-11-01 09:30:00.123456"),
    "updated_at": datetime.fromisoformat("2026-11-03 11:12:13.999999"),
}


def country(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{"id": 7, "name": "Peru", "name_he": "פרו", "continent": Continent.SOUTH_AMERICA, **STAMPS, **values}
    )


def tag(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"id": 3, "name": "Mountain", "name_he": "הרים", "description": None, **STAMPS, **values})


def guide(**values: Any) -> SimpleNamespace:
    defaults = {
        "id": 5,
        "name": "Noa",
        "name_he": None,
        "email": "noa@example.com",
        "phone": None,
        "gender": Gender.FEMALE,
        "age": None,
        "bio": None,
        "bio_he": None,
        "image_url": None,
        "is_active": True,
    }
    return SimpleNamespace(**{**defaults, **STAMPS, **values})


def company(**values: Any) -> SimpleNamespace:
    empty = dict.fromkeys(
        ("description", "description_he", "logo_url", "website_url", "email", "phone", "address"), None
    )
    defaults = {"id": 2, "name": "Andes", "name_he": "האנדים", **empty, "is_active": True}
    return SimpleNamespace(**{**defaults, **STAMPS, **values})


def template(**values: Any) -> SimpleNamespace:
    defaults = {
        "id": 11,
        "title": "Classic Peru",
        "title_he": "פרו הקלאסית",
        "description": "Two weeks",
        "description_he": "שבועיים",
        "short_description": None,
        "short_description_he": None,
        "image_url": "https://example.com/peru.jpg",
        "base_price": Decimal("6630.00"),
        "single_supplement_price": None,
        "typical_duration_days": 14,
        "default_max_capacity": 20,
        "difficulty_level": 3,
        "company_id": 2,
        "trip_type_id": None,
        "primary_country_id": 7,
        "is_active": True,
        "properties": None,
        "company": company(),
        "trip_type": None,
        "primary_country": country(),
        "countries": [country()],
        "tags": [tag()],
    }
    return SimpleNamespace(**{**defaults, **STAMPS, **values})


def occurrence(**values: Any) -> SimpleNamespace:
    empty = dict.fromkeys(
        (
            "guide_id",
            "price_override",
            "single_supplement_override",
            "max_capacity_override",
            "image_url_override",
            "notes",
            "notes_he",
            "properties",
            "guide",
        ),
        None,
    )
    defaults = {
        "id": 101,
        "trip_template_id": 11,
        "start_date": date(2026, 11, 24),
        "end_date": date(2026, 12, 7),
        "spots_left": 4,
        "status": "Last Places",
        "template": template(),
    }
    return SimpleNamespace(**{**empty, **defaults, **STAMPS, **values})


def shown(model: type[Entity], row: SimpleNamespace) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(to_json(model.model_validate(row)))
    return loaded


def test_departure_has_contract_keys_in_order() -> None:
    keys = (
        "id, tripTemplateId, guideId, startDate, endDate, priceOverride, singleSupplementOverride, "
        "maxCapacityOverride, spotsLeft, status, imageUrlOverride, notes, notesHe, properties, createdAt, updatedAt, "
        "effectivePrice, effectiveMaxCapacity, effectiveImageUrl, durationDays, template, guide"
    )
    assert ", ".join(shown(Departure, occurrence())) == keys


def test_template_has_contract_keys_in_order() -> None:
    keys = (
        "id, title, titleHe, description, descriptionHe, shortDescription, shortDescriptionHe, imageUrl, basePrice, "
        "singleSupplementPrice, typicalDurationDays, defaultMaxCapacity, difficultyLevel, companyId, tripTypeId, "
        "primaryCountryId, isActive, properties, createdAt, updatedAt, company, tripType, primaryCountry, "
        "countries, tags"
    )
    assert ", ".join(shown(Template, template())) == keys


def test_recommended_departure_omits_countries() -> None:
    whole = shown(Departure, occurrence())
    del whole["template"]["countries"]
    assert shown(RecommendedDeparture, occurrence()) == whole


@pytest.mark.parametrize(
    ("override", "price"), [(None, "6630.00"), (Decimal("0.00"), "0.00"), (Decimal("99.5"), "99.50")]
)
def test_effective_price_is_override_even_if_zero(override: Decimal | None, price: str) -> None:
    assert shown(Departure, occurrence(price_override=override))["effectivePrice"] == price


@pytest.mark.parametrize(("override", "capacity"), [(None, 20), (0, 0), (12, 12)])
def test_effective_capacity_is_override_or_default(override: int | None, capacity: int) -> None:
    assert shown(Departure, occurrence(max_capacity_override=override))["effectiveMaxCapacity"] == capacity


@pytest.mark.parametrize(
    ("override", "of_template", "image"),
    [("a.jpg", "b.jpg", "a.jpg"), ("", "b.jpg", "b.jpg"), (None, "b.jpg", "b.jpg"), ("", None, None)],
)
def test_effective_image_is_override_unless_empty(
    override: str | None, of_template: str | None, image: str | None
) -> None:
    row = occurrence(image_url_override=override, template=template(image_url=of_template))
    assert shown(Departure, row)["effectiveImageUrl"] == image


def test_duration_counts_first_and_last_day() -> None:
    day = date(2026, 11, 24)
    assert shown(Departure, occurrence(start_date=day, end_date=day))["durationDays"] == 1
    assert shown(Departure, occurrence())["durationDays"] == 14


def test_money_is_text_with_two_decimals() -> None:
    row = template(base_price=Decimal("1E+3"), single_supplement_price=Decimal("12345678.9"))
    assert shown(Template, row)["basePrice"] == "1000.00"
    assert shown(Template, row)["singleSupplementPrice"] == "12345678.90"


def test_timestamps_are_utc_in_whole_seconds() -> None:
    assert shown(Country, country())["createdAt"] == "2026-11-01T09:30:00Z"
    assert shown(Country, country())["updatedAt"] == "2026-11-03T11:12:13Z"
    elsewhere = datetime(2026, 11, 1, 11, 30, tzinfo=timezone(timedelta(hours=2)))
    assert shown(Country, country(created_at=elsewhere))["createdAt"] == "2026-11-01T09:30:00Z"


def test_enums_use_display_names() -> None:
    america = country(continent=Continent.NORTH_AND_CENTRAL_AMERICA)
    assert shown(Country, america)["continent"] == "North & Central America"
    assert shown(Guide, guide())["gender"] == "Female"


@pytest.mark.parametrize(("model", "row"), [(Tag, tag), (TripType, tag), (Guide, guide)])
def test_empty_hebrew_name_is_null(model: type[Entity], row: Any) -> None:
    assert shown(model, row(name_he=""))["nameHe"] is None
    assert shown(model, row(name_he="הרים"))["nameHe"] == "הרים"


def test_absent_value_is_null_not_missing() -> None:
    bare = shown(Template, template(primary_country=None, primary_country_id=None, tags=[], countries=[]))
    assert bare["tripType"] is None
    assert bare["primaryCountry"] is None
    assert bare["tags"] == bare["countries"] == []
    assert shown(Departure, occurrence())["guide"] is None


@pytest.mark.parametrize(
    ("stored", "visible"), [(None, None), ({"cabin": 4}, {"cabin": 4}), ({}, {}), (["cabin"], None), ("cabin", None)]
)
def test_properties_are_object_or_null(stored: Any, visible: Any) -> None:
    assert shown(Template, template(properties=stored))["properties"] == visible


def test_entity_round_trips_through_json() -> None:
    row = occurrence(price_override=Decimal("10.00"), guide=guide(), guide_id=5)
    text = to_json(Departure.model_validate(row))
    assert to_json(Departure.model_validate_json(text)) == text


def test_schema_requires_every_key() -> None:
    for model in (Country, Tag, TripType, Guide, Template, Departure, RecommendedDeparture):
        schema = model.model_json_schema(mode="serialization")
        assert schema["required"] == list(schema["properties"])
