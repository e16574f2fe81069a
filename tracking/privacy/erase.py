"""A person is forgotten: their users, sessions and events are deleted, and their searches are nobody's any more."""

import asyncio
from collections import Counter

import structlog
from redis.asyncio import Redis
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core import clients
from core.settings import Settings
from core.sql import in_array
from schemas.tables import DeadEvent, RecommendationRequest
from tracking import stream
from tracking.locks import TRACKING_LOCK
from tracking.privacy.subject import WAITING, DataSubject, dead_entries, find_person, pending_entries

log = structlog.get_logger()


async def erase_user(settings: Settings, email: str) -> Counter[str]:
    """Rows erased, by table; empty if nobody is known by that address (any more)."""
    engine = clients.postgres(settings.database_url, pool_size=1, command_timeout=None)
    try:
        async with clients.redis(settings.redis_url, timeout=settings.background_redis_seconds) as redis:
            erased, taken = await _erase(engine, redis, email, last=False)
            if taken:
                # The worker may have read it already, and store it now.
                await asyncio.sleep(settings.background_pool_seconds + settings.postgres_connect_seconds)
                erased, more = await _erase(engine, redis, email, last=True)
                taken += more
    finally:
        await engine.dispose()
    erased[WAITING] += taken
    return +erased


async def _erase(engine: AsyncEngine, redis: Redis, email: str, *, last: bool) -> tuple[Counter[str], int]:
    """Rows by table, and how many entries were taken out of the stream.

    If there were any and this is not the `last` time, the rows stay: by them the person is found again, also by a
    command that is given once more because this one was cut short.
    """
    async with engine.connect() as connection:
        await connection.execute(TRACKING_LOCK)
        person = await find_person(connection, email)
        if person is None:
            return Counter(), 0
        erased = await _erase_rows(connection, person)
        entries = await pending_entries(redis, person)
        if entries:
            await stream.remove(redis, entries)
        if last or not entries:
            await connection.commit()
            log.info("user_erased", user_ids=sorted(person.users), **erased)
    return erased, len(entries)


async def _erase_rows(connection: AsyncConnection, person: DataSubject) -> Counter[str]:
    dead = await dead_entries(connection, person)
    await connection.execute(delete(DeadEvent).where(in_array(DeadEvent.id, dead)))
    erased = Counter({WAITING: len(dead)})
    for table, theirs in person.rows().items():
        # What was searched for says nothing of who did, and is counted by the day.
        nobodys = update(table).values(session_id=None, user_id=None)
        statement = nobodys if table is RecommendationRequest else delete(table)
        erased[str(table.__tablename__)] = (await connection.execute(statement.where(theirs))).rowcount
    return erased
