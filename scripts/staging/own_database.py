"""A database of staging: created and dropped, and marked so that no other one is ever dropped."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import asyncpg

from core.configuration.postgres_url import parse_postgres_url
from core.postgres.connection import connect
from scripts.errors import CliError

MAINTENANCE = "postgres"
"""Database of a server to which one connects to create another."""
NAMES = ("dbname", "database")
"""Parameters of a URL that name its database."""
MARK = "made by smarttrip staging create"
MARKED = "SELECT shobj_description(oid, 'pg_database') = $2 FROM pg_database WHERE datname = $1"


def database_name(url: str) -> str:
    """Return the name of the database that the URL leads to."""
    address = parse_postgres_url(url)
    return address.database or address.user or MAINTENANCE


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    found = re.fullmatch(r"([^:]+://[^/?]*)(?:/[^?]*)?(?:\?(.*))?", url)
    assert found is not None, "a URL that the settings accept"
    # The parameter would take precedence, and lead to the other database.
    query = "&".join(pair for pair in (found[2] or "").split("&") if unquote(pair.partition("=")[0]) not in NAMES)
    other = f"{found[1]}/{quote(name, safe='')}{'?' if query else ''}{query}"
    assert database_name(other) == name
    return other


async def create_database(url: str) -> None:
    """Create the database of the URL, and mark it. Raises: CliError if it exists, errors of Postgres."""
    name = database_name(url)
    async with _maintenance(url) as connection:
        identifier = await connection.fetchval("SELECT quote_ident($1)", name)
        try:
            await connection.execute(f"CREATE DATABASE {identifier} TEMPLATE template0 ENCODING 'UTF8'")
        except asyncpg.DuplicateDatabaseError:
            raise CliError(
                f"There is a database {name} already. smarttrip staging drop removes one that this command has made."
            ) from None
        try:
            await connection.execute(f"COMMENT ON DATABASE {identifier} IS '{MARK}'")
        except BaseException:
            # Without the mark nobody may drop it.
            await connection.execute(f"DROP DATABASE {identifier}")
            raise


async def check_own(url: str) -> None:
    """Check that the database was made by `create_database`. Raises: CliError, if it was not; errors of Postgres."""
    name = database_name(url)
    async with _maintenance(url) as connection:
        marked = await connection.fetch(MARKED, name, MARK)
    if not marked:
        raise CliError(f"There is no database {name}.")
    if not marked[0][0]:
        raise CliError(f"The database {name} was not made by smarttrip staging create. Nothing was removed.")


async def drop_database(url: str) -> None:
    """Drop the database of the URL, whoever is connected to it. Raises: errors of Postgres."""
    async with _maintenance(url) as connection:
        identifier = await connection.fetchval("SELECT quote_ident($1)", database_name(url))
        await connection.execute(f"DROP DATABASE {identifier} WITH (FORCE)")


@asynccontextmanager
async def _maintenance(url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    connection = await connect(replace(parse_postgres_url(url), database=MAINTENANCE))
    try:
        yield connection
    finally:
        await connection.close()
