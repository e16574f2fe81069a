"""Stored times are UTC: default times too, whatever the time zone is of the server, the database, the role or the
client."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

import migrations
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import server
from tests.conftest import plain
from tests.migrations.databases import execute, fetch, make_bare_tables

TIMES = """
SELECT table_name, column_name, column_default FROM information_schema.columns
WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'
ORDER BY 1, 2
"""

ZONES = ("Asia/Jerusalem", "Pacific/Kiritimati", "America/Los_Angeles")

EXPRESSIONS = (
    *("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP(3)", "LOCALTIMESTAMP", "LOCALTIMESTAMP(0)", "now()", "now()::timestamp"),
    *("clock_timestamp()", "statement_timestamp()", "transaction_timestamp()", "timeofday()::timestamp"),
    *("'now'::text::timestamp", "timezone('utc', now())", "(now() AT TIME ZONE 'UTC')", "now() + interval '0'"),
)

LEVELS = {
    "database": "ALTER DATABASE \"{database}\" SET timezone = '{zone}'",
    "role": "ALTER ROLE CURRENT_USER IN DATABASE \"{database}\" SET timezone = '{zone}'",
    "client": "",
}
"""Statements that set the time zone of a client's sessions."""


async def session_of_platform(url: str, level: str, zone: str) -> asyncpg.Connection:
    """Return a connection of one of the platform's writers, whose zone is set at this level."""
    if statement := LEVELS[level]:
        await execute(url, statement.format(database=make_url(url).database, zone=zone))
    return await asyncpg.connect(plain(url), server_settings={"timezone": zone} if level == "client" else {})


async def assert_default_times_are_utc(connection: asyncpg.Connection, zone: str) -> None:
    assert await connection.fetchval("SHOW timezone") == zone
    defaults = [(table, column, default) for table, column, default in await connection.fetch(TIMES) if default]
    assert defaults
    for table, column, default in defaults:
        stored = await connection.fetchval(f"SELECT ({default})::timestamp")
        assert abs(stored.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1), (table, column, default)


@pytest.mark.parametrize(("level", "zone"), list(zip(LEVELS, ZONES, strict=True)))
async def test_default_times_are_utc(platform_url: str, level: str, zone: str) -> None:
    """Tables that the platform made, with every form of the present time as default."""
    await add_defaults(platform_url, *EXPRESSIONS)
    connection = await session_of_platform(platform_url, level, zone)
    try:
        await asyncio.to_thread(migrations.upgrade, platform_url)
        await assert_default_times_are_utc(connection, zone)
    finally:
        await connection.close()


async def test_default_times_of_created_tables_are_utc(empty_url: str) -> None:
    await asyncio.to_thread(migrations.upgrade, empty_url)
    connection = await session_of_platform(empty_url, "database", ZONES[0])
    await assert_default_times_are_utc(connection, ZONES[0])
    await connection.close()


def command_in_zone(folder: Path, port: int, is_ephemeral: bool) -> list[str]:
    return [*POSTGRES.command(folder, port, is_ephemeral), f"--timezone={ZONES[0]}"]


@pytest.fixture
async def own_server() -> AsyncIterator[str]:
    """URL of a server with a time zone."""
    async with server(replace(POSTGRES, command=command_in_zone)) as running:
        yield running.url


@pytest.mark.slow
async def test_default_times_are_utc_where_the_server_has_a_zone(own_server: str) -> None:
    await make_bare_tables(own_server.replace("://", "+asyncpg://"))
    await add_defaults(own_server, *EXPRESSIONS)
    await asyncio.to_thread(migrations.upgrade, own_server)
    connection = await asyncpg.connect(own_server)
    await assert_default_times_are_utc(connection, ZONES[0])
    await connection.close()


async def add_defaults(url: str, *expressions: str) -> None:
    """Give the platform's columns these defaults in turn; those of the fixture have none."""
    for number, (table, column, _) in enumerate(await fetch(url, TIMES)):
        expression = expressions[number % len(expressions)]
        await execute(url, f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {expression}")


@pytest.mark.parametrize("expression", ["timezone('Asia/Jerusalem', now())", "'2026-11-24'::timestamp"])
async def test_default_with_a_meaning_of_its_own_stays(platform_url: str, expression: str) -> None:
    await add_defaults(platform_url, expression)
    before = await fetch(platform_url, TIMES)
    await asyncio.to_thread(migrations.upgrade, platform_url)
    after = await fetch(platform_url, TIMES)
    assert {row for row in after if row in before} == set(before)
