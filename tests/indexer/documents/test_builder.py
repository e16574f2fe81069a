from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import joinedload

from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from schemas.api.entities import RecommendedDeparture, to_json
from schemas.document_fields import DERIVED, FIELDS
from schemas.enums import Continent
from schemas.tables import TripOccurrence, TripTemplate
from tests.support.factories import CatalogueFactory
from tests.support.sync import execute


async def read(engine: AsyncEngine, *ids: int) -> DocumentBatch:
    async with snapshot(engine) as connection:
        return await build_documents(connection, ids)


async def document(engine: AsyncEngine, trip_id: int) -> dict[str, Any]:
    batch = await read(engine, trip_id)
    assert batch.rejected == {}
    return dict(orjson.loads(batch.documents[trip_id]))


async def test_document_has_the_fields_of_the_rules(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    country = await catalogue.country(continent=Continent.NORTH_AND_CENTRAL_AMERICA)
    trip_type, first, second = await catalogue.trip_type(), await catalogue.tag(), await catalogue.tag()
    template = await catalogue.template(
        primary_country_id=country, trip_type_id=trip_type, tags=[second, first], difficulty_level=4
    )
    trip_id = await catalogue.occurrence(
        trip_template_id=template,
        start_date=date(2027, 2, 27),
        end_date=date(2027, 3, 2),
        price_override=Decimal("1234.50"),
        spots_left=3,
        status="Last Places",
    )
    found = await document(database, trip_id)
    expected = {
        "id": trip_id,
        "active": True,
        "country": str(country),
        "continent": "North & Central America",
        "antarctica": False,
        "type": str(trip_type),
        "themes": [str(first), str(second)],
        "level": 4,
        "start": "2027-02-27",
        "month": 2,
        "days": 4,
        "price": 123450,
        "spots": 3,
        "status": "Last Places",
        "offered_start": "2027-02-27",
    }
    assert {key: found[key] for key in expected} == expected
    assert found.keys() == {*FIELDS, *DERIVED, "trip"}


async def test_absent_country_and_type_are_null(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    found = await document(database, await catalogue.occurrence())
    assert (found["country"], found["continent"], found["type"], found["themes"]) == (None, None, None, [])


@pytest.mark.parametrize(("override", "price"), [(None, 100_000), (Decimal("0.00"), 0), (Decimal("0.05"), 5)])
async def test_price_is_the_override_even_if_zero(
    catalogue: CatalogueFactory, database: AsyncEngine, override: Decimal | None, price: int
) -> None:
    template = await catalogue.template(base_price=Decimal("1000.00"))
    trip_id = await catalogue.occurrence(trip_template_id=template, price_override=override)
    assert (await document(database, trip_id))["price"] == price


async def test_only_country_antarctica_is_antarctica(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    antarctica = await catalogue.country(name="Antarctica", continent=Continent.ANTARCTICA)
    other = await catalogue.country(name="South Georgia", continent=Continent.ANTARCTICA)
    for country, expected in ((antarctica, True), (other, False)):
        template = await catalogue.template(primary_country_id=country)
        trip_id = await catalogue.occurrence(trip_template_id=template)
        assert (await document(database, trip_id))["antarctica"] is expected


async def test_trip_equals_the_api_entity(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    template = await catalogue.template(
        primary_country_id=await catalogue.country(),
        trip_type_id=await catalogue.trip_type(),
        tags=[await catalogue.tag(), await catalogue.tag()],
        title_he='"מסע" אל הקצה',
        properties={"a": [1, None, "\u2028"]},
    )
    ids = [
        await catalogue.occurrence(trip_template_id=template, guide_id=await catalogue.guide(name_he="גיל")),
        await catalogue.occurrence(trip_template_id=template, notes="line\nline", properties={}),
    ]
    async with AsyncSession(database) as session:
        loaded = joinedload(TripOccurrence.template)
        options = (
            joinedload(TripOccurrence.guide),
            loaded.joinedload(TripTemplate.company),
            loaded.joinedload(TripTemplate.trip_type),
            loaded.joinedload(TripTemplate.primary_country),
            loaded.selectinload(TripTemplate.tags),
        )
        rows = (await session.scalars(select(TripOccurrence).options(*options))).all()
        expected = {row.id: orjson.loads(to_json(RecommendedDeparture.model_validate(row))) for row in rows}
    documents = (await read(database, *ids)).documents
    assert {trip_id: orjson.loads(found)["trip"] for trip_id, found in documents.items()} == expected


async def test_missing_departures_are_in_neither(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    trip_id = await catalogue.occurrence()
    assert (await read(database, trip_id, trip_id + 1, -1)).documents.keys() == {trip_id}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = :id",
        "UPDATE trip_occurrences SET start_date = '-infinity' WHERE id = :id",
        "UPDATE trip_occurrences SET end_date = '20000-01-01' WHERE id = :id",
        "UPDATE trip_occurrences SET start_date = '0044-03-15 BC' WHERE id = :id",
        "UPDATE trip_occurrences SET created_at = '20000-01-01' WHERE id = :id",
        "UPDATE trip_occurrences SET properties = (repeat('[', 3000) || repeat(']', 3000))::jsonb WHERE id = :id",
    ],
)
async def test_bad_row_rejects_only_its_departure(
    catalogue: CatalogueFactory, database: AsyncEngine, statement: str
) -> None:
    template = await catalogue.template()
    ids = [await catalogue.occurrence(trip_template_id=template) for _ in range(5)]
    await execute(database, statement, id=ids[3])
    batch = await read(database, *ids)
    assert batch.rejected.keys() == {ids[3]}
    assert batch.documents.keys() == set(ids) - {ids[3]}


async def test_bad_template_rejects_only_its_departures(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    bad, good = await catalogue.template(), await catalogue.template()
    ids = [await catalogue.occurrence(trip_template_id=template) for template in (good, bad, good, bad)]
    await execute(database, "UPDATE trip_templates SET created_at = '20000-01-01' WHERE id = :id", id=bad)
    batch = await read(database, *ids)
    assert batch.documents.keys() == {ids[0], ids[2]}
    assert batch.rejected.keys() == {ids[1], ids[3]}


async def test_statement_count_is_independent_of_chunk_size(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    ids = [await catalogue.occurrence(guide_id=await catalogue.guide()) for _ in range(8)]
    counts = []
    for chunk in (ids[:1], ids):
        statements: list[str] = []
        listener = lambda *arguments, seen=statements: seen.append(arguments[2])  # noqa: E731
        event.listen(database.sync_engine, "before_cursor_execute", listener)
        await read(database, *chunk)
        event.remove(database.sync_engine, "before_cursor_execute", listener)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 7


async def test_chunk_is_read_in_one_snapshot(catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    template = await catalogue.template(title="before")
    trip_id = await catalogue.occurrence(trip_template_id=template, notes="before")
    async with snapshot(database) as connection:
        await connection.execute(text("SELECT 1"))
        await execute(database, "UPDATE trip_templates SET title = 'after'")
        await execute(database, "UPDATE trip_occurrences SET notes = 'after'")
        batch = await build_documents(connection, [trip_id])
    trip = orjson.loads(batch.documents[trip_id])["trip"]
    assert (trip["notes"], trip["template"]["title"]) == ("before", "before")
