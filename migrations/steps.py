"""Building blocks of revisions: statements that do not block the platform's writers."""

import re
import time
from pathlib import Path

from asyncpg import LockNotAvailableError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from migrations.errors import MigrationError

LOCK_TIMEOUT = "200ms"
"""How long a step waits for a lock: writers queue behind a waiting lock request."""
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, *[3.0] * 20)
"""Seconds between attempts: about a minute."""

MARK = "made by smarttrip"
"""Comment on objects of ours among the platform's own, so that a downgrade removes only these."""


def bind() -> Connection:
    """Return the connection of the migration under way."""
    from alembic import op  # noqa: PLC0415  # not in processes that only compare the database with the code

    return op.get_bind()


def read_sql(name: str) -> str:
    return (Path(__file__).parent / "versions" / name).read_text(encoding="utf-8")


def blocks(script: str) -> dict[str, str]:
    """Return the parts of a script by the name in the comment line above each."""
    parts = re.split(r"^-- (\w+)\n", script, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def atomically(script: str) -> None:
    """Run all of the statements or none; retry while others hold the locks. Raises MigrationError."""
    bind().exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    for pause in PAUSES:
        if _attempt(f"DO $script$ BEGIN\n{script}\nEND $script$"):
            return
        time.sleep(pause)
    raise MigrationError("A table was locked for a minute by a long transaction; try again when it has ended.")


def _attempt(statement: str) -> bool:
    try:
        bind().exec_driver_sql(statement)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LockNotAvailableError.sqlstate:
            raise
        return False
    return True


def exists(name: str) -> bool:
    """Return whether a type, table, view or index has this name."""
    row = bind().exec_driver_sql("SELECT coalesce(to_regtype($1)::oid, to_regclass($1)::oid)", (name,))
    return row.scalar() is not None
