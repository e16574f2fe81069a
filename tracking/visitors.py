"""Users and their sessions. Locks are taken in the order of `tracking.locks`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, not_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from schemas.api.tracking import IdentifyRequest, SessionRequest
from schemas.tables import BrowsingSession, User
from tracking.account_claim import claim_user, find_first_guest, record_unverified
from tracking.addresses import has_email
from tracking.counted_events import count_new_session, increased
from tracking.guest_session import NEW_SESSION, NEW_USER, open_guest_session
from tracking.locks import TRACKING_LOCK, browser_name, email_name, lock_names, session_name


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


@dataclass(frozen=True)
class _SessionRef:
    user_id: int
    is_open: bool
    """Whether it has not ended, and has a user."""


_SESSIONS = BrowsingSession.__table__.c
# Of the table, as the ORM would prepare it for each start. The time is not read: it may be one that Python lacks.
_FIND_SESSION = select(_SESSIONS.user_id, _SESSIONS.ended_at.is_not(None).label("has_ended")).where(
    _SESSIONS.session_id == bindparam("session_id")
)

IS_REGISTERED = func.coalesce(User.is_registered, False)

LAST_SEEN = {"last_seen_at": func.greatest(User.last_seen_at, func.now()), "updated_at": func.now()}


async def start_session(
    session: AsyncSession, start: SessionRequest, visitor: Visitor, *, began: datetime | None = None
) -> SessionResponse:
    """Start a session, or restart one that has ended; leave one that is already open as it is.

    `began` is given for a session that is stored later: one that has ended since is not restarted.
    """
    known = await _find_session(session, start.session_id)
    if known is not None and known.is_open:
        return SessionResponse(known.user_id, is_new=False)
    await _lock_visitor(
        session, start.anonymous_id, visitor.email or start.email, start.session_id, verified=visitor.email is not None
    )
    if known is not None:
        await session.execute(_lock_rows(BrowsingSession.session_id == start.session_id))
    elif visitor.email is None and start.email is None and began is None:
        guest = await open_guest_session(session, _started(start, visitor))
        if guest is not None:
            await count_new_session(session, start.session_id, guest)
            return SessionResponse(guest, is_new=True)
    if visitor.email is not None:
        user_id = await _user_for_verified_email(session, visitor.email, start.anonymous_id)
    else:
        user_id = await _user_for_visitor(session, start.anonymous_id, start.email)
    if not await _open_session(session, start, visitor, user_id, began):
        opened = await _find_session(session, start.session_id)
        return SessionResponse(opened.user_id if opened and opened.is_open else user_id, is_new=False)
    if known is None:
        await count_new_session(session, start.session_id, user_id)
    else:
        visits = {"total_sessions": text(increased("users.total_sessions", "1"))}
        await session.execute(update(User).where(User.id == user_id).values(LAST_SEEN | visits))
    return SessionResponse(user_id, is_new=True)


async def _find_session(session: AsyncSession, session_id: UUID) -> _SessionRef | None:
    """Return the session's user and state, without locking it."""
    row = (await session.execute(_FIND_SESSION, {"session_id": session_id})).one_or_none()
    return _SessionRef(row.user_id, not row.has_ended and row.user_id is not None) if row else None


def _lock_rows(sessions: ColumnElement[bool]) -> Select[int]:
    """Return the query that locks sessions, in the order of their ids, before any user is locked."""
    return select(BrowsingSession.id).where(sessions).order_by(BrowsingSession.id).with_for_update()


async def _lock_visitor(
    session: AsyncSession, anonymous_id: UUID, email: str | None, session_id: UUID | None = None, *, verified: bool
) -> None:
    """Exclude other transactions of this browser, session and address; `verified` ones may change several users."""
    if verified:
        await session.execute(TRACKING_LOCK)
    names = [browser_name(anonymous_id)]
    if session_id is not None:
        names.append(session_name(session_id))
    if email is not None:
        names.append(email_name(email))
    await lock_names(session, names)


def _started(start: SessionRequest, visitor: Visitor) -> dict[str, Any]:
    """Return what is stored of a session's start."""
    return {
        "session_id": start.session_id,
        "anonymous_id": start.anonymous_id,
        "user_agent": visitor.user_agent,
        "ip_address": visitor.network,
        "referrer": start.referrer,
        "device_type": start.device_type,
    }


async def _open_session(
    session: AsyncSession, start: SessionRequest, visitor: Visitor, user_id: int, began: datetime | None
) -> bool:
    """Insert or restart the session. Return False if it is already open."""
    new = insert(BrowsingSession).values(
        NEW_SESSION | _started(start, visitor) | {"user_id": user_id, "started_at": began or func.now()}
    )
    opened = new.on_conflict_do_update(
        index_elements=[BrowsingSession.session_id],
        set_={"user_id": new.excluded.user_id, "ended_at": None, "duration_seconds": None},
        where=BrowsingSession.ended_at.is_not(None) if began is None else BrowsingSession.ended_at < began,
    ).returning(BrowsingSession.id)
    return await session.scalar(opened) is not None


async def _user_for_visitor(session: AsyncSession, anonymous_id: UUID, email: str | None) -> int:
    """Return the browser's user, else the unregistered one with this unverified address, else a new user.

    The address of a registered user is treated as if it were unknown: as if the guest that named it first had it.
    """
    while True:
        if guest := await _find_user(session, User.anonymous_id == anonymous_id):
            return guest.user_id
        if email is not None and await _is_taken(session, email, IS_REGISTERED):
            named_first = await find_first_guest(session, has_email(email))
            await record_unverified(session, has_email(email), anonymous_id)
            if named_first is not None and (guest := await _find_user(session, User.id == named_first)):
                return guest.user_id
            email = None
        if email is not None and (named := await _find_user(session, has_email(email) & not_(IS_REGISTERED))):
            return named.user_id
        created = await _create_user(session, anonymous_id, email)
        # None if the platform has just created such a user; the next iteration finds it.
        if created is not None:
            return created


async def _user_for_verified_email(session: AsyncSession, email: str, anonymous_id: UUID) -> int:
    """Return the user with a verified address: its present owner, else the visitor, else a new user."""
    named = select(User.id).where(has_email(email))
    await session.execute(_lock_rows(BrowsingSession.user_id.in_(named) | _is_open_in(anonymous_id)))
    while True:
        if owner := await _find_user(session, has_email(email)):
            if not owner.is_registered:
                await claim_user(session, owner.user_id, anonymous_id)
            await _update_user(session, owner.user_id, {"is_registered": True})
            return owner.user_id
        visitor = await _find_user(session, User.anonymous_id == anonymous_id)
        if visitor and not visitor.is_registered:
            await _update_user(session, visitor.user_id, {"email": email, "is_registered": True})
            return visitor.user_id
        # The anonymous id belongs to another registered user of this browser.
        created = await _create_user(session, uuid4() if visitor else anonymous_id, email, is_registered=True)
        if created is not None:
            return created


async def identify(session: AsyncSession, body: IdentifyRequest, verified_email: str | None) -> UserRef:
    """Store the visitor's e-mail address and name, and return the user.

    `verified_email` is that of a token. Without it, an address that belongs to another user changes nothing.
    """
    email = body.email or verified_email
    verified = email is not None and email == verified_email
    await _lock_visitor(session, body.anonymous_id, email, verified=verified)
    if email is not None and verified:
        return await _log_in(session, await _user_for_verified_email(session, email, body.anonymous_id), body)
    while True:
        guest = await _find_user(session, User.anonymous_id == body.anonymous_id)
        if guest is not None and guest.is_registered:
            return guest
        # Checked before writing: an error of the unique index would write the address into the log of Postgres.
        is_taken = email is not None and await _is_taken(session, email, User.anonymous_id != body.anonymous_id)
        given = {} if is_taken else {"email": email, "name": body.name}
        values = {column: value for column, value in given.items() if value is not None}
        if email is not None and is_taken:
            await record_unverified(session, has_email(email), body.anonymous_id)
        if guest is None:
            created = await _create_user(session, body.anonymous_id, values.get("email"), name=values.get("name"))
            if created is None:
                continue
            return UserRef(created, is_registered=False)
        if not is_taken:
            await _update_user(session, guest.user_id, values)
        return guest


async def _log_in(session: AsyncSession, user_id: int, body: IdentifyRequest) -> UserRef:
    """Assign the browser's open sessions to the user."""
    await session.execute(update(BrowsingSession).where(_is_open_in(body.anonymous_id)).values(user_id=user_id))
    if body.name is not None:
        await _update_user(session, user_id, {"name": body.name})
    return UserRef(user_id, is_registered=True)


def _is_open_in(anonymous_id: UUID) -> ColumnElement[bool]:
    return (BrowsingSession.anonymous_id == anonymous_id) & BrowsingSession.ended_at.is_(None)


async def _is_taken(session: AsyncSession, email: str, condition: ColumnElement[bool]) -> bool:
    """Return whether another user, one that meets the condition, has the address."""
    return bool(await session.scalar(select(exists().where(has_email(email), condition))))


async def _find_user(session: AsyncSession, condition: ColumnElement[bool]) -> UserRef | None:
    """Lock and return the user. Of several with one address a registered one comes first, then the oldest."""
    columns = select(User.id, IS_REGISTERED).where(condition).order_by(IS_REGISTERED.desc(), User.id).limit(1)
    # The lock prevents that the user is erased before a session refers to it. It is as strong as that of an update:
    # two transactions with weaker ones would wait for each other before their updates.
    locked = columns.with_for_update(key_share=True)
    row = (await session.execute(locked)).one_or_none()
    return UserRef(*row) if row else None


async def _create_user(
    session: AsyncSession,
    anonymous_id: UUID,
    email: str | None = None,
    *,
    name: str | None = None,
    is_registered: bool = False,
) -> int | None:
    """Insert a user and return its id, or None if its anonymous id or address is taken."""
    told_apart = {"anonymous_id": anonymous_id, "email": email, "name": name, "is_registered": is_registered}
    new = insert(User).values(NEW_USER | told_apart)
    user_id: int | None = await session.scalar(new.on_conflict_do_nothing().returning(User.id))
    return user_id


async def _update_user(session: AsyncSession, user_id: int, values: dict[str, Any]) -> None:
    await session.execute(update(User).where(User.id == user_id).values(LAST_SEEN | values))
