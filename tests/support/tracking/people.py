"""Two people who share a browser, and a stranger, with something in every table."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import BrowsingSession, DeadEvent, User
from tests.support.tracking.entries import event, request_log
from tracking.stream import StreamEntry
from tracking.writers.batches import store

DANA, BEN, NOA = "dana@example.org", "ben@example.org", "noa@example.org"
SHARED, BENS_OWN, NOAS = UUID(int=1), UUID(int=2), UUID(int=3)
"""Dana came first, so that the browser's anonymous id is hers."""
DANAS_SESSION, BENS_SESSION, NOAS_SESSION = UUID(int=11), UUID(int=12), UUID(int=13)


async def add_user(engine: AsyncEngine, email: str, anonymous_id: UUID, session: UUID, browser: UUID) -> int:
    """With a session in that browser."""
    async with engine.begin() as connection:
        new = insert(User).values(email=email, anonymous_id=anonymous_id, name=email.partition("@")[0])
        user_id: int = (await connection.execute(new.returning(User.id))).scalar_one()
        begun = {"session_id": session, "anonymous_id": browser, "user_id": user_id, "ip_address": "192.0.2.0/24"}
        await connection.execute(insert(BrowsingSession).values(begun))
    return user_id


def visit(session: UUID, browser: UUID, **values: Any) -> StreamEntry:
    return event(session_id=session, anonymous_id=browser, **values)


async def three_people(engine: AsyncEngine) -> None:
    await add_user(engine, DANA, SHARED, DANAS_SESSION, SHARED)
    await add_user(engine, BEN, BENS_OWN, BENS_SESSION, SHARED)
    await add_user(engine, NOA, NOAS, NOAS_SESSION, NOAS)
    visits = [visit(DANAS_SESSION, SHARED), visit(BENS_SESSION, SHARED), visit(NOAS_SESSION, NOAS)]
    searches = [request_log(session_id=str(session)) for session in (DANAS_SESSION, BENS_SESSION, NOAS_SESSION)]
    await store(engine, [*visits, *searches, request_log(session_id=str(DANAS_SESSION).upper())])
    async with engine.begin() as connection:
        for session, browser in ((DANAS_SESSION, SHARED), (BENS_SESSION, SHARED), (uuid4(), NOAS)):
            body = {"kind": "event", "entry": visit(session, browser).body.decode()}
            await connection.execute(insert(DeadEvent).values(body=body, reason="for some reason"))


async def capitalise(engine: AsyncEngine, email: str) -> None:
    """As the platform itself may have written it."""
    async with engine.begin() as connection:
        await connection.execute(update(User).where(User.email == email).values(email=email.title()))
