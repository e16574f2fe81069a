"""Values that Postgres stores in a column and that Python, pydantic or JSON may reject; and rows that have them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Date, DateTime, Integer, Numeric, String, text
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import Base
from tests.support.factories import CatalogueFactory

TIMES = ("'infinity'", "'-infinity'", "'20000-01-01'", "'0044-03-15 BC'")
ODD_VALUES: dict[type, Sequence[str]] = {
    DateTime: TIMES,
    Date: TIMES,
    Numeric: ("'NaN'", "'-0.01'"),
    Integer: ("2147483647", "-2147483648"),
    JSONB: (
        """'{"n": 1e5000}'""",
        """'{"n": 1e400}'""",
        """'{"n": [-1e400, {"m": 1e309}]}'""",
        """('{"n": ' || repeat('[', 400) || repeat(']', 400) || '}')::jsonb""",
        """('{"n": ' || repeat('[', 5000) || repeat(']', 5000) || '}')::jsonb""",
        """(repeat('{"n":', 235) || '1' || repeat('}', 235))::jsonb""",
        """'[1e5000]'""",
        "'\"text\"'",
        "'null'",
    ),
    ARRAY: ("'{}'", "'{NULL}'", "'{{1,2},{3,4}}'", "'[5:6]={1,2}'"),
    INET: ("'::/0'", "'10.1.2.3/8'"),
    String: ("''",),
}
"""SQL, by type of the column."""


@dataclass(frozen=True)
class OddRow:
    """Names and ids of a row with an odd value, and of what belongs to it."""

    table: str
    column: str
    value: str
    ids: dict[str, int]


def odd_values(column: ColumnElement[Any]) -> Sequence[str]:
    if isinstance(column, Column) and (column.primary_key or column.foreign_keys):
        return ()
    return next((values for kind, values in ODD_VALUES.items() if isinstance(column.type, kind)), ())


async def create_trip(catalogue: CatalogueFactory) -> dict[str, int]:
    """Insert a departure and every row that it depends on; return their ids by table."""
    ids = {
        "countries": await catalogue.country(),
        "guides": await catalogue.guide(),
        "companies": await catalogue.company(),
        "tags": await catalogue.tag(),
        "trip_types": await catalogue.trip_type(),
    }
    ids["trip_templates"] = await catalogue.template(
        company_id=ids["companies"],
        trip_type_id=ids["trip_types"],
        primary_country_id=ids["countries"],
        countries=[ids["countries"]],
        tags=[ids["tags"]],
    )
    ids["trip_occurrences"] = await catalogue.occurrence(trip_template_id=ids["trip_templates"], guide_id=ids["guides"])
    return ids


async def create_odd_rows(engine: AsyncEngine, table: type[Base]) -> AsyncIterator[OddRow]:
    """Insert a row for each column and odd value of a catalogue table that the table's constraints allow."""
    catalogue = CatalogueFactory(engine, first=100)
    for column in table.__table__.columns:
        for value in odd_values(column):
            ids = await create_trip(catalogue)
            if await set_value(engine, table.__tablename__, column.name, value, ids[table.__tablename__]):
                yield OddRow(table.__tablename__, column.name, value, ids)


async def set_value(
    engine: AsyncEngine, table: str, column: str, value: str, row_id: int | str, *, key: str = "id"
) -> bool:
    """Return False, with nothing changed, if a constraint does not allow the value."""
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f'UPDATE {table} SET "{column}" = {value} WHERE {key} = {row_id}'))
    except DBAPIError:
        return False
    return True
