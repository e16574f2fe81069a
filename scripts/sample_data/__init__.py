"""A sample catalogue that resembles the platform's, loaded into empty tables by COPY."""

from collections.abc import Iterable, Iterator
from datetime import date
from random import Random
from typing import Any

import asyncpg
import orjson

from core.configuration.postgres_url import parse_postgres_url
from core.postgres.connection import connect
from scripts.errors import CliError
from scripts.sample_data import rows
from scripts.sample_data.departures import departures
from scripts.sample_data.scenarios import scenarios
from scripts.sample_data.templates import templates

MIN_TEMPLATES = 60
DEPARTURES_PER_TEMPLATE = 10

Tables = Iterator[tuple[str, Iterable[rows.Row]]]


async def seed(url: str, occurrences: int = 5000, seed: int = 1, *, today: date) -> dict[str, int]:
    """Load the catalogue and return the number of rows by table; equal arguments give equal rows.

    Raises CliError if a table has rows already.
    """
    connection = await connect(parse_postgres_url(url))
    try:
        await connection.set_type_codec("jsonb", schema="pg_catalog", format="binary", encoder=_jsonb, decoder=bytes)
        async with connection.transaction():
            return {name: await _load(connection, name, table) for name, table in tables(occurrences, seed, today)}
    finally:
        await connection.close()


async def has_departures(url: str) -> bool:
    """Return whether the catalogue was seeded; `seed` loads all of it or nothing."""
    connection = await connect(parse_postgres_url(url))
    try:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM trip_occurrences)"))
    finally:
        await connection.close()


def tables(occurrences: int, seed: int, today: date) -> Tables:
    """Yield table names and rows in the order of foreign keys; the rows of a table have to be read before the next."""
    random = Random(seed)
    for make in (rows.countries, rows.companies, rows.guides, rows.trip_types, rows.tags):
        yield make.__name__, make(random, today)
    made = list(templates(random, max(MIN_TEMPLATES, occurrences // DEPARTURES_PER_TEMPLATE), today))
    yield "trip_templates", (template.row for template in made)
    yield "trip_template_tags", (tag for template in made for tag in template.tags)
    yield "trip_template_countries", (visit for template in made for visit in template.countries)
    yield "trip_occurrences", departures(random, occurrences, [template.row for template in made], today)
    yield "evaluation_scenarios", scenarios(today)


def _jsonb(value: Any) -> bytes:
    """Encode JSONB for binary COPY: a version byte and the text."""
    return b"\x01" + orjson.dumps(value)


async def _load(connection: "asyncpg.Connection[Any]", table: str, made: Iterable[rows.Row]) -> int:
    if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):  # noqa: S608 -- one of the names above
        raise CliError(f"The table {table} has rows already; sample data goes into an empty catalogue only.")
    columns: list[str] = []
    records = []
    for row in made:
        columns = columns or list(row)
        records.append(tuple(row.values()))
    await connection.copy_records_to_table(table, records=records, columns=columns)
    if "id" in columns:
        # New rows of the platform get the ids that follow.
        await connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {len(records)})")
    return len(records)
