"""All that is stored about a person."""

from typing import Any

import orjson
import structlog
from sqlalchemy import select

from core import clients
from core.settings import Settings
from tracking.privacy.subject import WAITING, dead_entries, find_person, pending_entries

log = structlog.get_logger()


async def export_user(settings: Settings, email: str) -> dict[str, list[dict[str, Any]]] | None:
    """The person's rows by table, and what is still on its way to one; None if nobody is known by that address."""
    engine = clients.postgres(settings.database_url, pool_size=1, command_timeout=None)
    try:
        async with (
            clients.redis(settings.redis_url, timeout=settings.background_redis_seconds) as redis,
            engine.begin() as connection,
        ):
            person = await find_person(connection, email)
            if person is None:
                return None
            # First what waits: between the two reads it may come to be stored, but not the other way round.
            entries = [
                *(await pending_entries(redis, person)).values(),
                *(await dead_entries(connection, person)).values(),
            ]
            stored: dict[str, list[dict[str, Any]]] = {}
            for table, theirs in person.rows().items():
                rows = await connection.execute(select(table.__table__).where(theirs).order_by(table.__table__.c.id))
                stored[str(table.__tablename__)] = [dict(row._mapping) for row in rows]
    finally:
        await engine.dispose()
    log.info("user_exported", user_ids=sorted(person.users))
    return {**stored, WAITING: [orjson.loads(entry.body) for entry in entries]}
