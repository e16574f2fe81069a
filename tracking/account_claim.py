"""Claim a user whose e-mail address was not verified before, so that whoever only named the address loses access."""

from collections.abc import Collection
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, func, literal, not_, select, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.postgres.sql import in_array
from schemas.tables import BrowsingSession, Event, UnverifiedBrowser, User


async def claim_user(session: AsyncSession, user_id: int, anonymous_id: UUID) -> None:
    """Make this browser the only one of the user, because a token of this browser has verified the address.

    Other browsers become guests, with their sessions and events. They are recorded, so that an erasure of the person
    finds them. The caller has locked the user and its sessions, and excludes other writers by `TRACKING_LOCK`.
    """
    others = await _other_browsers(session, user_id, anonymous_id)
    is_taken = await session.scalar(select(exists().where(User.anonymous_id == anonymous_id, User.id != user_id)))
    own = uuid4() if is_taken else anonymous_id
    changed = update(User).where(User.id == user_id, User.anonymous_id != anonymous_id)
    await session.execute(changed.values(anonymous_id=own))
    if others:
        await _become_guests(session, user_id, others)


async def _other_browsers(session: AsyncSession, user_id: int, anonymous_id: UUID) -> Collection[UUID]:
    used = union(
        *(
            select(table.anonymous_id).where(table.user_id == user_id, table.anonymous_id != anonymous_id)
            for table in (BrowsingSession, Event)
        )
    )
    return (await session.scalars(used)).all()


async def _become_guests(session: AsyncSession, user_id: int, browsers: Collection[UUID]) -> None:
    new = insert(User).values([{"anonymous_id": browser, "total_sessions": 0} for browser in sorted(browsers)])
    await session.execute(new.on_conflict_do_nothing())
    for table in (BrowsingSession, Event):
        theirs = and_(table.user_id == user_id, in_array(table.anonymous_id, browsers))
        guest = select(User.id).where(User.anonymous_id == table.anonymous_id).scalar_subquery()
        await session.execute(update(table).where(theirs).values(user_id=guest))
    record = insert(UnverifiedBrowser).values(
        [{"user_id": user_id, "anonymous_id": browser, "created_at": func.now()} for browser in browsers]
    )
    await session.execute(record)


async def record_unverified(session: AsyncSession, owners: ColumnElement[bool], anonymous_id: UUID) -> None:
    """Record that this browser named the address of these users, for an erasure; the users do not change."""
    known = exists().where(UnverifiedBrowser.user_id == User.id, UnverifiedBrowser.anonymous_id == anonymous_id)
    named = select(User.id, literal(anonymous_id), func.now()).where(owners, not_(known))
    await session.execute(insert(UnverifiedBrowser).from_select(["user_id", "anonymous_id", "created_at"], named))


async def find_first_guest(session: AsyncSession, owners: ColumnElement[bool]) -> int | None:
    """Return the first of the guests whose browsers named the address of these users, or None.

    If the address were unknown it would have become this guest's, and the next browser that names it would find it.
    """
    guest = aliased(User)
    named = (
        select(guest.id)
        .join(UnverifiedBrowser, UnverifiedBrowser.anonymous_id == guest.anonymous_id)
        .join(User, User.id == UnverifiedBrowser.user_id)
        .where(owners, guest.email.is_(None), not_(func.coalesce(guest.is_registered, False)))
    )
    first: int | None = await session.scalar(named.order_by(UnverifiedBrowser.id).limit(1))
    return first
