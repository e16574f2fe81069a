"""A Postgres whose tables are on a small disk, which can be filled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

import migrations
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import server
from tests.conftest import TODAY, drop_indices, plain
from tests.support.sync import ignore_progress

SMALL_DISK = (
    "unshare", "--mount", "--map-root-user", "sh", "-c",
    'mount -t tmpfs -o size=64m,mode=700 none "$0" && exec unshare --user --map-user=1000 "$@"',
)  # fmt: skip
"""Beginning of a command whose process has a small disk; Postgres rejects root, also in a namespace."""
DEPARTURES = 300
ROOM = "CREATE TABLE filler (content text STORAGE PLAIN) WITH (autovacuum_enabled = false)"
FILL = "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 100000)"


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    return [*SMALL_DISK, str(disk), *POSTGRES.command(folder, port, ephemeral)]


@asynccontextmanager
async def small_postgres(settings: Settings) -> AsyncIterator[Settings]:
    """Run such a Postgres with a catalogue that is indexed; yield settings that lead to it and to names of its own."""
    async with server(replace(POSTGRES, command=_command)) as running:
        name = make_url(running.url).database
        own = settings.model_copy(
            update={
                "database_url": running.url.replace("://", "+asyncpg://"),
                "redis_prefix": f"{settings.redis_prefix}small:",
                "elasticsearch_alias": f"{settings.elasticsearch_alias}-small",
            }
        )
        await execute(own, f"CREATE TABLESPACE small LOCATION '{POSTGRES.folder(running.data) / 'disk'}'")
        await execute(own, f"ALTER DATABASE {name} SET default_tablespace = small")
        await asyncio.to_thread(migrations.upgrade, own.database_url)
        await sample_data.seed(own.database_url, DEPARTURES, today=TODAY)
        await reindex(own, ignore_progress)
        yield own
    await drop_indices(own)


@asynccontextmanager
async def full_disk(settings: Settings) -> AsyncIterator[None]:
    """Fill the small disk for the block."""
    await execute(settings, ROOM)
    try:
        await execute(settings, FILL)
    except asyncpg.DiskFullError:
        # What was written stays on the disk.
        yield
    await execute(settings, "DROP TABLE filler")


async def execute(settings: Settings, statement: str) -> None:
    connection = await asyncpg.connect(plain(settings.database_url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
