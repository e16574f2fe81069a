"""Copies of a test's database on the same server, as a restore under another name leaves them."""

import asyncpg
from sqlalchemy.engine import make_url

from core.configuration.settings import Settings
from tests.conftest import plain


async def copy_database(settings: Settings, source: str, target: str) -> None:
    """Replace the database `target` by a copy of `source`; connections to both are closed."""
    server = make_url(settings.database_url).set(database="postgres")
    connection = await asyncpg.connect(plain(server.render_as_string(hide_password=False)))
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", source)
        await connection.execute(f"CREATE DATABASE {target} TEMPLATE {source}")
    finally:
        await connection.close()
