"""JSON that Postgres writes says what the models' JSON says, whatever a row holds.

Ranges over every column of the catalogue, and values of its type: odd ones, and usual ones that are written in several
ways.
"""

import json
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import Date, DateTime, Integer, Numeric, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from app.repositories import trip_json
from app.repositories.entity_json import ODD
from tests.app.routes.test_odd_rows import TABLES
from tests.support.api.shared_database import database_on
from tests.support.factories import CatalogueFactory
from tests.support.odd_values import create_trip, odd_values, set_value

VALUES: dict[type, Sequence[str]] = {
    DateTime: ("'2027-02-03 04:05:06.999999'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'0999-01-01'"),
    Date: ("'0001-01-01'", "'9999-12-31'", "'0999-01-01'"),
    Numeric: ("0", "99999999.99", "1.5", "NULL"),
    Integer: ("0", "NULL"),
    String: (
        r"""E'" \\ / \u0001 \u001f \u007f \u2028 \n\t\r\b\f <&> שלום 𝄞'""",
        "repeat('ש', 20001)",
        f"'{ODD}'",
        "NULL",
    ),
    JSONB: (
        "'{}'",
        """'{"a": 1.10, "b": 1e3, "c": -0.0, "d": [], "": {"e": null, "f": [true, "\\u0007 ש"]}}'""",
        """'{"a": 12345678901234567890, "b": 0.12345678901234567890, "c": 9007199254740993}'""",
        """('{"n": ' || repeat('[', 90) || repeat(']', 90) || '}')::jsonb""",
        "NULL",
    ),
}
"""SQL, by type of the column."""


@pytest.fixture
async def shared(database: AsyncEngine) -> AsyncIterator[Database]:
    async with database_on(database) as shared:
        yield shared


async def create_trips(database: AsyncEngine) -> dict[int, str]:
    """Return what is special about each departure."""
    catalogue = CatalogueFactory(database)
    special = {await catalogue.occurrence(trip_template_id=await catalogue.template()): "nothing"}
    for table in TABLES:
        for column in table.__table__.columns:
            usual = next((values for kind, values in VALUES.items() if isinstance(column.type, kind)), ())
            if not (column.primary_key or column.foreign_keys):
                for value in (*usual, *odd_values(column)):
                    ids = await create_trip(catalogue)
                    await set_value(database, table.__tablename__, column.name, value, ids[table.__tablename__])
                    special[ids["trip_occurrences"]] = f"{column} = {value}"
    return special


async def test_json_is_that_of_the_models(database: AsyncEngine, shared: Database) -> None:
    special = await create_trips(database)
    by_models = await trip_json._load_departures(shared, [*special])
    written = {item["id"]: item for item in map(json.loads, await trip_json.fetch_departures(shared, [*special]))}
    shown = {row_id: json.loads(item) for row_id, item in by_models.items()}
    assert [special[row_id] for row_id in special if written.get(row_id) != shown.get(row_id)] == []


async def test_most_rows_need_no_models(
    database: AsyncEngine, shared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []

    async def load(_database: Database, ids: Sequence[int]) -> dict[int, bytes]:
        loaded.extend(ids)
        return {}

    monkeypatch.setattr(trip_json, "_load_departures", load)
    catalogue = CatalogueFactory(database)
    ids = [(await create_trip(catalogue))["trip_occurrences"] for _ in range(3)]
    assert await set_value(database, "trip_occurrences", "created_at", "'infinity'", ids[1])
    assert len(await trip_json.fetch_departures(shared, [*ids, 10**9])) == 2
    assert loaded == [ids[1]]
