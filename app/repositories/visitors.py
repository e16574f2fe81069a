"""Users and their sessions. Sessions are locked before users, as in all transactions, to avoid deadlocks."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app.backends.database import WriteSession
from schemas.api.tracking import IdentifyRequest, SessionRequest
from schemas.tables import BrowsingSession, User
from tracking.locks import TRACKING_LOCK


@dataclass(frozen=True)
class Visitor:
    """Attributes of a visitor that come from the request's head rather than its body."""

    email: str | None
    """E-mail address of a verified token."""
    network: str | None
    """Network of the client's address, in CIDR notation."""
    user_agent: str | None


@dataclass(frozen=True)
class SessionResponse:
    user_id: int
    is_new: bool


@dataclass(frozen=True)
class UserRef:
    user_id: int
    is_registered: bool


LAST_SEEN = {"last_seen_at": func.greatest(User.last_seen_at, func.now()), "updated_at": func.now()}


async def start_session(session: WriteSession, start: SessionRequest, visitor: Visitor) -> SessionResponse:
    """Start a session, or restart one that has ended; leave one that is already open as it is."""
    user_of_open_session = select(BrowsingSession.user_id).where(
        BrowsingSession.session_id == start.session_id, BrowsingSession.ended_at.is_(None)
    )
    user_id = await session.scalar(user_of_open_session)
    if user_id is not None:
        return SessionResponse(user_id, is_new=False)
    if visitor.email is not None:
        user_id = await _user_for_verified_email(session, visitor.email, start.anonymous_id)
    else:
        user_id = await _user_for_visitor(session, start.anonymous_id, start.email)
    if not await _open_session(session, start, visitor, user_id):
        return SessionResponse(await session.scalar(user_of_open_session) or user_id, is_new=False)
    visits = {"total_sessions": func.coalesce(User.total_sessions, 0) + 1}
    await session.execute(update(User).where(User.id == user_id).values(LAST_SEEN | visits))
    return SessionResponse(user_id, is_new=True)


async def _open_session(session: WriteSession, start: SessionRequest, visitor: Visitor, user_id: int) -> bool:
    """Insert or restart the session. Return False if it is already open."""
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
        created = await _create_user(session, anonymous_id, email, is_registered=False)
        # None if a concurrent request has just created such a user; the next iteration finds it.
        if created is not None:
            return created


async def _user_for_verified_email(session: WriteSession, email: str, anonymous_id: UUID) -> int:
    """Return the user with a verified address: its present owner, else the visitor, else a new user."""
    # The user is updated before its sessions, against the lock order: the lock excludes other writers.
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
        # The anonymous id belongs to another registered user of this browser.
        created = await _create_user(session, uuid4() if visitor else anonymous_id, email, is_registered=True)
        if created is not None:
            return created


async def identify(session: WriteSession, body: IdentifyRequest, verified_email: str | None) -> UserRef:
    """Store the visitor's e-mail address and name, and return the user.

    `verified_email` is that of a token. Without it, an address that belongs to another user changes nothing.
    """
    email = body.email or verified_email
    if email is not None and email == verified_email:
        return await _log_in(session, await _user_for_verified_email(session, email, body.anonymous_id), body)
    guest = await _find_user(session, User.anonymous_id == body.anonymous_id)
    if guest is None:
        await _create_user(session, body.anonymous_id, None, is_registered=False)
        return await identify(session, body, verified_email)
    if not guest.is_registered:
        values = {"email": email, "name": body.name}
        await _update_user(session, guest.user_id, {name: value for name, value in values.items() if value is not None})
    return guest


async def _log_in(session: WriteSession, user_id: int, body: IdentifyRequest) -> UserRef:
    """Assign the browser's open sessions to the user."""
    open_sessions = update(BrowsingSession).where(
        BrowsingSession.anonymous_id == body.anonymous_id, BrowsingSession.ended_at.is_(None)
    )
    await session.execute(open_sessions.values(user_id=user_id))
    if body.name is not None:
        await _update_user(session, user_id, {"name": body.name})
    return UserRef(user_id, is_registered=True)


async def _find_user(session: WriteSession, condition: ColumnElement[bool]) -> UserRef | None:
    columns = select(User.id, func.coalesce(User.is_registered, False))
    # The lock prevents that the user is erased before a session refers to it.
    locked = columns.where(condition).with_for_update(read=True, key_share=True)
    row = (await session.execute(locked)).one_or_none()
    return UserRef(*row) if row else None


async def _create_user(
    session: WriteSession, anonymous_id: UUID, email: str | None, *, is_registered: bool
) -> int | None:
    """Insert a user and return its id, or None if its anonymous id or address is taken."""
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
    """Update the user. Return False, with nothing changed, if the e-mail address belongs to another user."""
    try:
        async with session.begin_nested():
            await session.execute(update(User).where(User.id == user_id).values(LAST_SEEN | values))
    except IntegrityError:
        return False
    return True
