"""Stored times are UTC: default times too, whatever the time zone of the database is."""

import asyncio

import pytest
from sqlalchemy.engine import make_url

import migrations
from tests.migrations.databases import execute, fetch

TIMES = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'
"""
DEFAULT_TIMES = f"{TIMES} AND column_default IS NOT NULL"
IN_FUTURE = "SELECT {default} > timezone('utc', now()) + interval '1 minute'"
DEFAULT_OF = "SELECT column_default FROM information_schema.columns WHERE table_name = '{0}' AND column_name = '{1}'"


ZONES = ("Asia/Jerusalem", "Pacific/Kiritimati")


@pytest.mark.parametrize("zone", ZONES)
async def test_default_times_of_adopted_tables_are_utc(platform_url: str, zone: str) -> None:
    await add_defaults(platform_url)
    await assert_default_times_are_utc(platform_url, zone)


@pytest.mark.parametrize("zone", ZONES)
async def test_default_times_of_created_tables_are_utc(empty_url: str, zone: str) -> None:
    await assert_default_times_are_utc(empty_url, zone)


async def assert_default_times_are_utc(url: str, zone: str) -> None:
    await execute(url, f"ALTER DATABASE \"{make_url(url).database}\" SET timezone = '{zone}'")
    await asyncio.to_thread(migrations.upgrade, url)
    columns = await fetch(url, DEFAULT_TIMES)
    assert columns
    for table, column in columns:
        ((default,),) = await fetch(url, DEFAULT_OF.format(table, column))
        assert await fetch(url, IN_FUTURE.format(default=default)) == [(False,)], (table, column)


async def add_defaults(url: str) -> None:
    """Add the defaults that the platform's tables have; those of the fixture have none."""
    for table, column in await fetch(url, TIMES):
        await execute(url, f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT CURRENT_TIMESTAMP")


async def test_defaults_of_a_database_in_utc_stay(platform_url: str) -> None:
    await add_defaults(platform_url)
    await asyncio.to_thread(migrations.upgrade, platform_url)
    for table, column in await fetch(platform_url, DEFAULT_TIMES):
        assert await fetch(platform_url, DEFAULT_OF.format(table, column)) == [("CURRENT_TIMESTAMP",)]
