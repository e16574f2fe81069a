"""What is stored about a person, found by an e-mail address: for those who ask for it or want it gone."""

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

WAITING = "not_stored_yet"
"""What has no table yet, beside the names of tables."""


@dataclass(frozen=True)
class DataSubject:
    """The ids that a person's data can be told by."""

    users: frozenset[int]
    """More than one where the platform wrote the address in several ways."""
    anonymous_ids: frozenset[UUID]
    sessions: frozenset[UUID]
    sessions_of_others: frozenset[UUID]
    """In the same browser, by somebody else who has logged in there."""

    def rows(self) -> dict[type[Base], ColumnElement[bool]]:
        """Which rows of each table are the person's; what refers to something comes before it."""
        nobodys = Event.user_id.is_(None) & not_(in_array(Event.session_id, self.sessions_of_others))
        # Clients may write a session's id in capitals.
        session = func.lower(RecommendationRequest.session_id, type_=String)
        return {
            Event: or_(
                in_array(Event.user_id, self.users),
                in_array(Event.session_id, self.sessions),
                nobodys & in_array(Event.anonymous_id, self.anonymous_ids),
            ),
            RecommendationRequest: or_(
                in_array(RecommendationRequest.user_id, self.users), in_array(session, [*map(str, self.sessions)])
            ),
            BrowsingSession: in_array(BrowsingSession.session_id, self.sessions),
            User: in_array(User.id, self.users),
        }

    def owns(self, entry: StreamEntry) -> bool:
        """Whether it is this person that an event or a request log tells of."""
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


async def find_person(connection: AsyncConnection, email: str) -> DataSubject | None:
    """`email` is in lower case. Until the transaction ends nobody can begin a session of the person's."""
    columns = select(User.id, User.anonymous_id).where(func.lower(User.email) == email).with_for_update()
    known = {user.id: user.anonymous_id for user in await connection.execute(columns)}
    if not known:
        return None
    of_these_browsers = or_(
        in_array(BrowsingSession.user_id, known), in_array(BrowsingSession.anonymous_id, known.values())
    )
    found = select(BrowsingSession.session_id, BrowsingSession.user_id).where(of_these_browsers)
    sessions = (await connection.execute(found)).all()
    theirs = frozenset(session_id for session_id, user in sessions if user is None or user in known)
    return DataSubject(
        users=frozenset(known),
        anonymous_ids=frozenset(known.values()),
        sessions=theirs,
        sessions_of_others=frozenset(session_id for session_id, _ in sessions) - theirs,
    )


async def pending_entries(redis: Redis, person: DataSubject) -> dict[bytes, StreamEntry]:
    """What the worker has not stored yet, by its id in the stream."""
    return {entry_id: entry async for entry_id, entry in stream.scan(redis) if person.owns(entry)}


async def dead_entries(connection: AsyncConnection, person: DataSubject) -> dict[int, StreamEntry]:
    """What could not be stored, by its id in the table."""
    rows = await connection.stream(select(DeadEvent.id, DeadEvent.body))
    entries = {dead_id: StreamEntry(body["kind"], body["entry"].encode()) async for dead_id, body in rows}
    return {dead_id: entry for dead_id, entry in entries.items() if person.owns(entry)}
