"""Users and their sessions. Sessions are locked before users, as everywhere."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app.backends.database import WriteSession
from schemas.api.tracking import IdentifyRequest, SessionStart
from schemas.tables import BrowsingSession, User
from tracking.locks import TRACKING_LOCK


@dataclass(frozen=True)
class Visitor:
    """What a request tells of who makes it, beside its body."""

    email: str | None
    """Proven by a token."""
    network: str | None
    user_agent: str | None


@dataclass(frozen=True)
class SessionStarted:
    user_id: int
    is_new: bool


@dataclass(frozen=True)
class UserRef:
    user_id: int
    is_registered: bool


LAST_SEEN = {"last_seen_at": func.greatest(User.last_seen_at, func.now()), "updated_at": func.now()}


async def start_session(session: WriteSession, start: SessionStart, visitor: Visitor) -> SessionStarted:
    """A session that is open already stays as it is; one that has ended begins again."""
    known = select(BrowsingSession.user_id).where(
        BrowsingSession.session_id == start.session_id, BrowsingSession.ended_at.is_(None)
    )
    user_id = await session.scalar(known)
    if user_id is not None:
        return SessionStarted(user_id, is_new=False)
    if visitor.email is not None:
        user_id = await _user_for_verified_email(session, visitor.email, start.anonymous_id)
    else:
        user_id = await _user_for_visitor(session, start.anonymous_id, start.email)
    if not await _open_session(session, start, visitor, user_id):
        return SessionStarted(await session.scalar(known) or user_id, is_new=False)
    visits = {"total_sessions": func.coalesce(User.total_sessions, 0) + 1}
    await session.execute(update(User).where(User.id == user_id).values(LAST_SEEN | visits))
    return SessionStarted(user_id, is_new=True)


async def _open_session(session: WriteSession, start: SessionStart, visitor: Visitor, user_id: int) -> bool:
    """False if it is open already."""
    new = insert(BrowsingSession).values(
        session_id=start.session_id,
        anonymous_id=start.anonymous_id,
        user_id=user_id,
        started_at=func.now(),
        created_at=func.now(),
        user_agent=visitor.user_agent,
        ip_address=visitor.network,
        referrer=start.referrer,
        device_type=start.device_type,
        search_count=0,
        click_count=0,
        save_count=0,
        contact_count=0,
    )
    opened = new.on_conflict_do_update(
        index_elements=[BrowsingSession.session_id],
        set_={"user_id": new.excluded.user_id, "ended_at": None, "duration_seconds": None},
        where=BrowsingSession.ended_at.is_not(None),
    ).returning(BrowsingSession.id)
    return await session.scalar(opened) is not None


async def _user_for_visitor(session: WriteSession, anonymous_id: UUID, email: str | None) -> int:
    while True:
        if guest := await _find_user(session, User.anonymous_id == anonymous_id):
            return guest.user_id
        if email is not None and (named := await _find_user(session, User.email == email)):
            return named.user_id
        created = await _create(session, anonymous_id, email, is_registered=False)
        # None if someone else has just made a user with one of the two, who is found in the next turn.
        if created is not None:
            return created


async def _user_for_verified_email(session: WriteSession, email: str, anonymous_id: UUID) -> int:
    """The user of an address that a token proves: who has it already, else the visitor, else a new one."""
    # The user is changed before sessions are, which is the wrong way round.
    await session.execute(TRACKING_LOCK)
    while True:
        if owner := await _find_user(session, User.email == email):
            await _update_user(session, owner.user_id, {"is_registered": True})
            return owner.user_id
        visitor = await _find_user(session, User.anonymous_id == anonymous_id)
        if visitor and not visitor.is_registered:
            if await _update_user(session, visitor.user_id, {"email": email, "is_registered": True}):
                return visitor.user_id
            continue
        # In this browser somebody else was registered before, and keeps its anonymous id.
        created = await _create(session, uuid4() if visitor else anonymous_id, email, is_registered=True)
        if created is not None:
            return created


async def identify(session: WriteSession, body: IdentifyRequest, proven: str | None) -> UserRef:
    """`proven` is the e-mail of a token. Without it an e-mail of somebody else's changes nothing."""
    email = body.email or proven
    if email is not None and email == proven:
        return await _log_in(session, await _user_for_verified_email(session, email, body.anonymous_id), body)
    guest = await _find_user(session, User.anonymous_id == body.anonymous_id)
    if guest is None:
        await _create(session, body.anonymous_id, None, is_registered=False)
        return await identify(session, body, proven)
    if not guest.is_registered:
        told = {"email": email, "name": body.name}
        await _update_user(session, guest.user_id, {name: value for name, value in told.items() if value is not None})
    return guest


async def _log_in(session: WriteSession, user_id: int, body: IdentifyRequest) -> UserRef:
    """What goes on in this browser is the user's from now on."""
    running = update(BrowsingSession).where(
        BrowsingSession.anonymous_id == body.anonymous_id, BrowsingSession.ended_at.is_(None)
    )
    await session.execute(running.values(user_id=user_id))
    if body.name is not None:
        await _update_user(session, user_id, {"name": body.name})
    return UserRef(user_id, is_registered=True)


async def _find_user(session: WriteSession, condition: ColumnElement[bool]) -> UserRef | None:
    columns = select(User.id, func.coalesce(User.is_registered, False))
    # Until the transaction ends nobody can erase the user, to whom a session is about to refer.
    held = columns.where(condition).with_for_update(read=True, key_share=True)
    row = (await session.execute(held)).one_or_none()
    return UserRef(*row) if row else None


async def _create(session: WriteSession, anonymous_id: UUID, email: str | None, *, is_registered: bool) -> int | None:
    """None if there is such a user already."""
    new = insert(User).values(
        anonymous_id=anonymous_id,
        email=email,
        preferred_language="he",
        first_seen_at=func.now(),
        last_seen_at=func.now(),
        total_sessions=0,
        total_searches=0,
        total_clicks=0,
        is_registered=is_registered,
        is_active=True,
        created_at=func.now(),
        updated_at=func.now(),
    )
    user_id: int | None = await session.scalar(new.on_conflict_do_nothing().returning(User.id))
    return user_id


async def _update_user(session: WriteSession, user_id: int, values: dict[str, Any]) -> bool:
    """False, with nothing changed, if the e-mail is another user's."""
    try:
        async with session.begin_nested():
            await session.execute(update(User).where(User.id == user_id).values(LAST_SEEN | values))
    except IntegrityError:
        return False
    return True
