"""Refuse to run on a database that lacks revisions of this release."""

import re
from collections.abc import Mapping
from pathlib import Path

import structlog
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from core import clients
from migrations.errors import MigrationError
from schemas.tables import SCHEMA

log = structlog.get_logger()

NAMES = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)
"""The lines of a revision that say what it and the one before it are called."""

IS_MIGRATED = text("SELECT to_regclass(:name) IS NOT NULL").bindparams(name=f"{SCHEMA}.alembic_version")
REVISIONS = text(f"SELECT version_num FROM {SCHEMA}.alembic_version")  # noqa: S608 -- a constant


async def check_revision(url: str, *, connect_seconds: float) -> None:
    """Return if the database has every revision of this release, has a later one, or cannot be reached now.

    A later revision is that of the next release, which is being rolled out. Raises: MigrationError.
    """
    engine = clients.postgres_engine(
        url, connect_timeout=connect_seconds, command_timeout=connect_seconds, poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            applied = await _read_revisions(connection)
    except (DBAPIError, PostgresError, OSError) as error:
        log.warning("revision_unknown", error=type(error).__name__)
        return
    finally:
        await engine.dispose()
    _require_newest(applied)


async def _read_revisions(connection: AsyncConnection) -> set[str]:
    if not await connection.scalar(IS_MIGRATED):
        return set()
    return set(await connection.scalars(REVISIONS))


def _require_newest(applied: set[str]) -> None:
    revisions = read_order()
    newest, *others = sorted(revisions.keys() - revisions.values())
    if others:
        raise MigrationError(
            f"The revisions {', '.join([newest, *others])} all come last; let `down_revision` of one name another."
        )
    if not applied:
        raise MigrationError("The database is not migrated; run: smarttrip migrate.")
    if applied <= revisions.keys() and newest not in applied:
        raise MigrationError(
            f"The database is at revision {', '.join(sorted(applied))}, but this release needs {newest}; "
            "run: smarttrip migrate."
        )


def read_order(folder: Path = Path(__file__).parent / "versions") -> Mapping[str, str | None]:
    """Return the revisions of this release, each with the one before it. Raises: MigrationError.

    They are read, not imported: each process checks them, and Alembic takes 3 MB and a tenth of the time of its start.
    """
    order: dict[str, str | None] = {}
    for path in folder.glob("*.py"):
        names = dict(NAMES.findall(path.read_text(encoding="utf-8")))
        if "revision" not in names:
            raise MigrationError(
                f'{path} is no revision: it lacks a line such as `revision = "r20_name"`; add it or remove the file.'
            )
        order[names["revision"]] = names.get("down_revision")
    return order
