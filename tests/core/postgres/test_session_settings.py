"""Defaults of a role or a database change nothing for our sessions: every setting that a user may set is tried."""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Row, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from tests.support.pgbouncer import BINARY, pgbouncer

LOADS_LIBRARIES = "local_preload_libraries"
"""With a library that does not exist nobody can connect."""

STRINGS = {
    "DateStyle": ["German, DMY"],
    "TimeZone": ["Asia/Jerusalem", "Pacific/Kiritimati"],
    "search_path": ['""', "pg_catalog", "information_schema", "smarttrip", "nowhere"],
    "client_encoding": ["LATIN1", "SQL_ASCII", "WIN1255"],
    "timezone_abbreviations": ["India"],
    "restrict_nonsystem_relation_kind": ["view"],
    "application_name": ["ü"],
    "createrole_self_grant": ["set"],
    "default_table_access_method": ["missing"],
    "default_tablespace": ["missing"],
    "default_text_search_config": ["german"],
    "temp_tablespaces": ["missing"],
    **{f"lc_{name}": ["C.UTF-8"] for name in ("messages", "monetary", "numeric", "time")},
}
"""Nasty values of settings that are neither flags nor numbers nor enumerations."""

TIMEOUT = "50"
"""Milliseconds: enough to connect and too little to work."""

OURS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "transaction_isolation",
    "transaction_read_only",
    "exit_on_error",
)

SAMPLES = (
    "now()::text LIKE '%+00'",
    "('2026-11-24 10:00'::timestamp)::text",
    "('2026-11-24 10:00Z'::timestamptz)::timestamp::text",
    "('1 day 02:00'::interval)::text",
    "'11/24/2026'::date::text",
    r"'\x01ff'::bytea::text",
    r"length('a\nb')",
    "(0.1::float8 + 0.2::float8)::text",
    "(NULL::int = NULL) IS NULL",
    "'{NULL}'::text[] = ARRAY[NULL]::text[]",
    "to_regclass('trip_occurrences') IS NOT NULL",
    "'שלום'::text",
    "quote_ident('plain')",
    *(f"current_setting('{name}', true)" for name in OURS),
)
PROBE = text("SELECT " + ", ".join(SAMPLES).replace(":", r"\:"))
WRITE = text("INSERT INTO users (anonymous_id) VALUES (gen_random_uuid())")


async def nasty_values(engine: AsyncEngine) -> list[dict[str, str]]:
    """Return rounds of settings with values that they should not have; all rounds together have every value."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT name, vartype, boot_val, min_val, enumvals, unit FROM pg_settings"
                " WHERE context IN ('user', 'superuser')"
            )
        )
    values = {row.name: values_of(row) for row in rows if row.name != LOADS_LIBRARIES}
    return [
        {name: tried[number % len(tried)] for name, tried in values.items() if tried}
        for number in range(max(map(len, values.values())))
    ]


def values_of(row: Row[tuple[str, str, str, str, list[str], str]]) -> list[str]:
    if row.vartype == "bool":
        return ["off" if row.boot_val == "on" else "on"]
    if row.vartype == "enum":
        return [value for value in row.enumvals if value != row.boot_val]
    if row.vartype == "string":
        return STRINGS.get(row.name, [])
    return [TIMEOUT if row.unit == "ms" and row.name.endswith("_timeout") else row.min_val]


@pytest.fixture
async def restored(engine: AsyncEngine) -> AsyncIterator[None]:
    yield
    async with engine.begin() as connection:
        await connection.execute(text(f'ALTER DATABASE "{engine.url.database}" RESET ALL'))


SET_DEFAULTS = """
DO $$ DECLARE setting record; BEGIN
FOR setting IN SELECT * FROM json_each_text('{values}') LOOP
    BEGIN EXECUTE format('ALTER DATABASE %I SET %I = %L', current_database(), setting.key, setting.value);
    EXCEPTION WHEN OTHERS THEN NULL;  -- Some cannot be a default.
    END;
END LOOP;
END $$
"""
COUNT_DEFAULTS = text("SELECT sum(cardinality(setconfig)) FROM pg_db_role_setting")


async def set_defaults(engine: AsyncEngine, values: dict[str, str]) -> int:
    """Change defaults of the database; return how many are set."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql(SET_DEFAULTS.format(values=json.dumps(values)))
        return int(await connection.scalar(COUNT_DEFAULTS))


async def probe(url: str) -> list[object]:
    engine = clients.postgres(url, pool_size=1)
    try:
        async with engine.connect() as connection:
            await connection.execute(WRITE)
            result = list((await connection.execute(PROBE)).one())
            await connection.rollback()
    finally:
        await engine.dispose()
    return result


async def test_defaults_of_the_database_change_nothing(
    settings: Settings, database: AsyncEngine, restored: None
) -> None:
    expected = await probe(settings.database_url)
    for values in await nasty_values(database):
        assert await set_defaults(database, values) > 100
        assert await probe(settings.database_url) == expected, values


async def test_no_transaction_may_be_idle_without_end(database: AsyncEngine) -> None:
    async with database.connect() as connection:
        name = "idle_in_transaction_session_timeout"
        limit = text(f"SELECT setting::int FROM pg_settings WHERE name = '{name}'")
        assert 0 < await connection.scalar(limit) <= 5 * 60 * 1000


@pytest.mark.skipif(BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")
async def test_defaults_change_nothing_behind_a_pooler(
    settings: Settings, database: AsyncEngine, restored: None
) -> None:
    expected = await probe(settings.database_url)
    await set_defaults(database, (await nasty_values(database))[0])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with pgbouncer(settings.database_url, Path(folder) / "pgbouncer") as pooler:
            assert await probe(pooler.url) == expected


async def test_options_of_the_url_win(settings: Settings, database: AsyncEngine) -> None:
    url = make_url(settings.database_url).update_query_dict({"options": "-c statement_timeout=12s"})
    engine = clients.postgres(url.render_as_string(hide_password=False))
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW statement_timeout")) == "12s"
    await engine.dispose()
