"""Export the personal data of a data subject."""

from typing import Any

import orjson
import structlog
from sqlalchemy import select

from core import clients
from core.configuration.settings import Settings
from tracking.privacy.subject import NOT_STORED, dead_entries, find_subject, pending_entries

log = structlog.get_logger()


async def export_user(settings: Settings, email: str) -> dict[str, list[dict[str, Any]]] | None:
    """Return the person's rows by table and their entries that are not stored, or None if the address is unknown."""
    engine = clients.postgres(settings.database_url, pool_size=1, command_timeout=None)
    try:
        async with (
            clients.own_redis(settings, timeout=settings.background_redis_seconds) as redis,
            engine.begin() as connection,
        ):
            subject = await find_subject(connection, email, include_unverified=False)
            if subject is None:
                return None
            # Entries first: between the two reads the worker may store them, so that none is missed.
            entries = [
                *(await pending_entries(redis, subject)).values(),
                *(await dead_entries(connection, subject)).values(),
            ]
            stored: dict[str, list[dict[str, Any]]] = {}
            for table, condition in subject.row_filters().items():
                rows = await connection.execute(select(table.__table__).where(condition).order_by(table.__table__.c.id))
                stored[str(table.__tablename__)] = [dict(row._mapping) for row in rows]
    finally:
        await engine.dispose()
    log.info("user_exported", user_ids=sorted(subject.users))
    return {**stored, NOT_STORED: [orjson.loads(entry.body) for entry in entries]}
