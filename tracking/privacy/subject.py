"""Find the personal data of a data subject by e-mail address, for export and erasure."""

from dataclasses import dataclass
from uuid import UUID

import orjson
from redis.asyncio import Redis
from sqlalchemy import ColumnElement, String, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.sql import in_array
from schemas.tables import Base, BrowsingSession, DeadEvent, Event, RecommendationRequest, User
from tracking import stream
from tracking.stream import StreamEntry

NOT_STORED = "not_stored_yet"
"""Key, beside the names of tables, for pending and dead-lettered entries."""


@dataclass(frozen=True)
class DataSubject:
    """The ids that identify a person's data."""

    users: frozenset[int]
    """More than one if the platform stored the address in several spellings."""
    anonymous_ids: frozenset[UUID]
    sessions: frozenset[UUID]
    sessions_of_others: frozenset[UUID]
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
                in_array(RecommendationRequest.user_id, self.users), in_array(session, [*map(str, self.sessions)])
            ),
            BrowsingSession: in_array(BrowsingSession.session_id, self.sessions),
            User: in_array(User.id, self.users),
        }

    def owns(self, entry: StreamEntry) -> bool:
        """Return whether an event or a request log is about this person."""
        try:
            body = orjson.loads(entry.body)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(body, dict):
            return False
        session = _uuid(body.get("session_id"))
        if session in self.sessions:
            return True
        return _uuid(body.get("anonymous_id")) in self.anonymous_ids and session not in self.sessions_of_others


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


async def find_subject(connection: AsyncConnection, email: str) -> DataSubject | None:
    """Return the ids of the person with this address in lower case, or None if it is unknown.

    The users are locked: until the transaction ends, no session of theirs can start.
    """
    columns = select(User.id, User.anonymous_id).where(func.lower(User.email) == email).with_for_update()
    known = {user.id: user.anonymous_id for user in await connection.execute(columns)}
    if not known:
        return None
    in_their_browsers = or_(
        in_array(BrowsingSession.user_id, known), in_array(BrowsingSession.anonymous_id, known.values())
    )
    found = select(BrowsingSession.session_id, BrowsingSession.user_id).where(in_their_browsers)
    sessions = (await connection.execute(found)).all()
    theirs = frozenset(session_id for session_id, user in sessions if user is None or user in known)
    return DataSubject(
        users=frozenset(known),
        anonymous_ids=frozenset(known.values()),
        sessions=theirs,
        sessions_of_others=frozenset(session_id for session_id, _ in sessions) - theirs,
    )


async def pending_entries(redis: Redis, subject: DataSubject) -> dict[bytes, StreamEntry]:
    """Return the person's entries that the worker has not stored yet, by their ids in the stream."""
    return {entry_id: entry async for entry_id, entry in stream.scan(redis) if subject.owns(entry)}


async def dead_entries(connection: AsyncConnection, subject: DataSubject) -> dict[int, StreamEntry]:
    """Return the person's dead-lettered entries, by their ids in the table."""
    rows = await connection.stream(select(DeadEvent.id, DeadEvent.body))
    entries = {dead_id: StreamEntry(body["kind"], body["entry"].encode()) async for dead_id, body in rows}
    return {dead_id: entry for dead_id, entry in entries.items() if subject.owns(entry)}
