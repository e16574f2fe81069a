"""A Postgres of a test's own, whose roles need passwords."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.engine import make_url

import migrations
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import Server, server
from tests.conftest import TODAY, plain

OLD, NEW = "old-password-of-this-test", "new-password-of-this-test"
ACCESS = """
host all {admin} 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


async def execute(admin: str, *statements: str) -> None:
    connection = await asyncpg.connect(plain(admin))
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def role(name: str, password: str, group: str | None) -> str:
    """Return the statement that creates a role with the rights of the `group`."""
    return f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {group}"


@asynccontextmanager
async def own_database() -> AsyncIterator[Server]:
    """Run a Postgres with sample data, and with a role `first` besides the superuser, who needs no password."""
    async with server(POSTGRES) as running:
        admin = make_url(running.url).username
        access = POSTGRES.folder(running.data) / "cluster" / "pg_hba.conf"
        access.write_text(ACCESS.format(admin=admin))
        await execute(running.url, "SELECT pg_reload_conf()", role("first", OLD, admin))
        await asyncio.to_thread(migrations.upgrade, running.url)
        await sample_data.seed(running.url, 200, today=TODAY)
        yield running
