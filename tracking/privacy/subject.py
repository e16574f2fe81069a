"""Find the personal data of a data subject by e-mail address, for export and erasure."""

from dataclasses import dataclass
from uuid import UUID

import orjson
from redis.asyncio import Redis
from sqlalchemy import ColumnElement, String, func, not_, or_, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from core.postgres.sql import in_array
from schemas.tables import Base, BrowsingSession, DeadEvent, Event, RecommendationRequest, UnverifiedBrowser, User
from tracking import stream
from tracking.addresses import has_email
from tracking.locks import browser_name, email_name, lock_names
from tracking.privacy.mentions import mentions
from tracking.stream import StreamEntry

NOT_STORED = "not_stored_yet"
"""Key, beside the names of tables, for pending and dead-lettered entries."""


@dataclass(frozen=True)
class DataSubject:
    """The ids that identify a person's data."""

    email: str
    """In lower case."""
    users: frozenset[int] = frozenset()
    """More than one if the platform stored the address in several spellings, or guests are the person, too."""
    anonymous_ids: frozenset[UUID] = frozenset()
    sessions: frozenset[UUID] = frozenset()
    sessions_of_others: frozenset[UUID] = frozenset()
    """Sessions in the same browser of somebody else who logged in there."""

    def row_filters(self) -> dict[type[Base], ColumnElement[bool]]:
        """Return for each table the condition on the person's rows; referring tables come first."""
        anonymous = Event.user_id.is_(None) & not_(in_array(Event.session_id, self.sessions_of_others))
        # Clients may write a session id in upper case.
        session = func.lower(RecommendationRequest.session_id, type_=String)
        return {
            Event: or_(
                in_array(Event.user_id, self.users),
                in_array(Event.session_id, self.sessions),
                anonymous & in_array(Event.anonymous_id, self.anonymous_ids),
            ),
            RecommendationRequest: or_(
                in_array(RecommendationRequest.user_id, self.users),
                # What a client sends as its session may be the id of its browser.
                in_array(session, [*map(str, self.sessions | self.anonymous_ids)]),
            ),
            BrowsingSession: in_array(BrowsingSession.session_id, self.sessions),
            User: in_array(User.id, self.users),
        }

    def owns(self, entry: StreamEntry) -> bool:
        """Return whether an event or a request log is about this person, or mentions the address."""
        if mentions(entry.body.decode(errors="replace"), self.email):
            return True
        try:
            body = orjson.loads(entry.body)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(body, dict):
            return False
        session = _uuid(body.get("session_id"))
        if session in self.sessions or session in self.anonymous_ids:
            return True
        return _uuid(body.get("anonymous_id")) in self.anonymous_ids and session not in self.sessions_of_others


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


async def find_subject(
    connection: AsyncConnection, email: str, *, include_unverified: bool = True
) -> DataSubject | None:
    """Return the ids of the person with this address in lower case, or None if it is unknown.

    A person's browsers are those of their users and sessions, unless another user with an address has them. Guests of
    these browsers are the person, too. `include_unverified` adds the browsers that had only named the address.
    Users and browsers are locked: until the transaction ends, no session of theirs can start.
    """
    users = await _users(connection, has_email(email))
    if not users:
        return None
    browsers: set[UUID] = set()
    named: set[UUID] = set()
    if include_unverified:
        recorded = select(UnverifiedBrowser.anonymous_id).where(in_array(UnverifiedBrowser.user_id, users))
        named.update((await connection.scalars(recorded)).all())
    await lock_names(connection, [email_name(email)])
    while found := await _browsers(connection, users, named | browsers) - browsers:
        browsers |= found
        await lock_names(connection, map(browser_name, found))
        users |= await _users(connection, _is_guest() & in_array(User.anonymous_id, found))
    await connection.execute(select(User.id).where(in_array(User.id, users)).order_by(User.id).with_for_update())
    return await _with_sessions(connection, email, users, browsers)


def _is_guest() -> ColumnElement[bool]:
    return User.email.is_(None) & not_(func.coalesce(User.is_registered, False))


async def _users(connection: AsyncConnection, condition: ColumnElement[bool]) -> set[int]:
    return set((await connection.scalars(select(User.id).where(condition))).all())


async def _browsers(connection: AsyncConnection, users: set[int], browsers: set[UUID]) -> set[UUID]:
    """Return the anonymous ids of these users, their sessions and events, and these, but for those of other people."""
    used = union(
        select(User.anonymous_id).where(in_array(User.id, users)),
        select(BrowsingSession.anonymous_id).where(in_array(BrowsingSession.user_id, users)),
        select(Event.anonymous_id).where(in_array(Event.user_id, users)),
    )
    found = browsers | set((await connection.scalars(used)).all())
    theirs = select(User.anonymous_id).where(
        in_array(User.anonymous_id, found), not_(_is_guest()), not_(in_array(User.id, users))
    )
    return found - set((await connection.scalars(theirs)).all())


async def _with_sessions(connection: AsyncConnection, email: str, users: set[int], browsers: set[UUID]) -> DataSubject:
    in_their_browsers = or_(in_array(BrowsingSession.user_id, users), in_array(BrowsingSession.anonymous_id, browsers))
    found = select(BrowsingSession.session_id, BrowsingSession.user_id).where(in_their_browsers)
    sessions = (await connection.execute(found)).all()
    theirs = {session_id for session_id, user in sessions if user is None or user in users}
    others = {session_id for session_id, _ in sessions} - theirs
    # Sessions that never began.
    visited = select(Event.session_id).where(
        or_(in_array(Event.user_id, users), Event.user_id.is_(None)), in_array(Event.anonymous_id, browsers)
    )
    theirs.update(set((await connection.scalars(visited)).all()) - others)
    return DataSubject(
        email=email,
        users=frozenset(users),
        anonymous_ids=frozenset(browsers),
        sessions=frozenset(theirs),
        sessions_of_others=frozenset(others),
    )


async def pending_entries(redis: Redis, subject: DataSubject) -> dict[bytes, StreamEntry]:
    """Return the person's entries that the worker has not stored yet, by their ids in the stream."""
    return {entry_id: entry async for entry_id, entry in stream.scan(redis) if subject.owns(entry)}


async def dead_entries(connection: AsyncConnection, subject: DataSubject) -> dict[int, StreamEntry]:
    """Return the person's dead-lettered entries, by their ids in the table."""
    rows = await connection.stream(select(DeadEvent.id, DeadEvent.body))
    entries = {dead_id: StreamEntry(body["kind"], body["entry"].encode()) async for dead_id, body in rows}
    return {dead_id: entry for dead_id, entry in entries.items() if subject.owns(entry)}
