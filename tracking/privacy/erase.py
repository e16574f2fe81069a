"""Erase a data subject: delete their users, sessions and events, and anonymise their request logs."""

import asyncio
from collections import Counter

import structlog
from redis.asyncio import Redis
from sqlalchemy import delete, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core import clients
from core.configuration.settings import Settings
from core.postgres.sql import in_array
from schemas.tables import DeadEvent, RecommendationRequest, UnverifiedBrowser
from tracking import stream
from tracking.locks import TRACKING_LOCK
from tracking.privacy.append_only_file import rewrite_append_only_file
from tracking.privacy.mentions import erase_mentions
from tracking.privacy.subject import NOT_STORED, DataSubject, dead_entries, find_subject, pending_entries

log = structlog.get_logger()


async def erase_user(settings: Settings, email: str) -> Counter[str]:
    """Erase a person; return the number of erased rows by table, empty if the address is unknown."""
    engine = clients.postgres(settings.database_url, pool_size=1, command_timeout=None)
    try:
        async with clients.own_redis(settings, timeout=settings.background_redis_seconds) as redis:
            erased, taken = await _erase_pass(engine, redis, email, final=False)
            if taken:
                # The worker may have read the entries before, and be storing them now: erase again afterwards.
                await asyncio.sleep(settings.background_pool_seconds + settings.postgres_connect_seconds)
                erased, more = await _erase_pass(engine, redis, email, final=True)
                taken += more
            if erased or taken:
                await rewrite_append_only_file(redis)
    finally:
        await engine.dispose()
    erased[NOT_STORED] += taken
    return +erased


async def _erase_pass(engine: AsyncEngine, redis: Redis, email: str, *, final: bool) -> tuple[Counter[str], int]:
    """Return the erased rows by table, and the number of entries removed from the stream.

    If entries were removed and this is not the `final` pass, the rows are not erased yet: the next pass, or a repeated
    command if this one is interrupted, finds the person by them.
    """
    async with engine.connect() as connection:
        await connection.execute(TRACKING_LOCK)
        # Others may have mentioned an address that no user has.
        subject = await find_subject(connection, email) or DataSubject(email)
        erased = await _erase_rows(connection, subject)
        entries = await pending_entries(redis, subject)
        if entries:
            await stream.remove(redis, entries)
        if final or not entries:
            await connection.commit()
            if erased or entries:
                log.info("user_erased", user_ids=sorted(subject.users), **erased)
    return erased, len(entries)


async def _erase_rows(connection: AsyncConnection, subject: DataSubject) -> Counter[str]:
    dead = await dead_entries(connection, subject)
    await connection.execute(delete(DeadEvent).where(in_array(DeadEvent.id, dead)))
    erased = Counter({NOT_STORED: len(dead)})
    for table, condition in subject.row_filters().items():
        # The preferences of a search do not identify a person, and daily metrics count them.
        anonymise = update(table).values(session_id=None, user_id=None)
        statement = anonymise if table is RecommendationRequest else delete(table)
        erased[str(table.__tablename__)] = (await connection.execute(statement.where(condition))).rowcount
    named = or_(
        in_array(UnverifiedBrowser.user_id, subject.users),
        in_array(UnverifiedBrowser.anonymous_id, subject.anonymous_ids),
    )
    await connection.execute(delete(UnverifiedBrowser).where(named))
    return erased + Counter(await erase_mentions(connection, subject.email))
