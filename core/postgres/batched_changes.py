"""Change rows of the platform's tables in batches: a row that a constraint or trigger protects costs only itself."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError

from core.concurrency.bisection import process_with_bisection
from core.metrics.labels import with_values
from schemas.tables import Base

Key = TypeVar("Key")

log = structlog.get_logger()

PROTECTED = with_values(
    Counter(
        "smarttrip_tracking_rows_protected_total",
        "Rows that a constraint or trigger protects from removal or change, each time that one is met",
        ["table"],
    ),
    [table.name for table in Base.metadata.sorted_tables],
)

OTHER_SQLSTATE_CLASSES = ("08", "25", "28", "3D", "40", "42", "53", "55", "57", "58", "XX")
"""SQLSTATE classes of errors that no single row causes: connection, rights, names, locks, resources, shutdown. A
trigger may raise any other."""


class RowsProtectedError(Exception):
    """Postgres rejected the change of a batch because of at least one of its rows."""


async def change_rows(
    table: str, keys: Sequence[Key], change: Callable[[Sequence[Key]], Awaitable[Collection[Key]]]
) -> set[Key]:
    """Change the rows with these keys, and count and log those that Postgres protects; return the keys of the others.

    `change` changes all of its rows or raises; it returns their keys without those that a trigger skipped.
    """

    async def process(batch: Sequence[Key]) -> Collection[Key]:
        try:
            return await change(batch)
        except DBAPIError as error:
            if not is_row_error(error):
                raise
            raise RowsProtectedError(getattr(error.orig, "sqlstate", None)) from error

    reasons: set[str] = set()

    async def reject(_: Key, error: Exception) -> Collection[Key]:
        reasons.add(str(error))
        return ()

    parts = await process_with_bisection(keys, process, reject, errors=(RowsProtectedError,))
    changed = {key for part in parts for key in part}
    if len(changed) < len(keys):
        PROTECTED.labels(table).inc(len(keys) - len(changed))
        log.warning("rows_protected", table=table, rows=len(keys) - len(changed), sqlstates=sorted(reasons))
    return changed


def is_row_error(error: DBAPIError) -> bool:
    """Return whether a row, by itself or by a trigger on it, may have caused the error."""
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    return sqlstate is not None and not sqlstate.startswith(OTHER_SQLSTATE_CLASSES)
