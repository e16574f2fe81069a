"""The usual session start in one statement: a browser that names no e-mail address begins a new session."""

from typing import Any

from sqlalchemy import CTE, bindparam, exists, func, literal, not_, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from schemas.tables import BrowsingSession, User

# SQLAlchemy's ORM does not insert what is selected.
USERS: Any = User.__table__
SESSIONS: Any = BrowsingSession.__table__

NEW_USER: dict[str, Any] = {
    "preferred_language": "he",
    "first_seen_at": func.now(),
    "last_seen_at": func.now(),
    "total_sessions": 0,
    "total_searches": 0,
    "total_clicks": 0,
    "is_active": True,
    "created_at": func.now(),
    "updated_at": func.now(),
}
"""Values of a new user, without those that tell users apart."""

NEW_SESSION: dict[str, Any] = {
    "started_at": func.now(),
    "created_at": func.now(),
    "search_count": 0,
    "click_count": 0,
    "save_count": 0,
    "contact_count": 0,
}
"""Values of a new session, without those of its start."""

STARTED = ("session_id", "anonymous_id", "user_agent", "ip_address", "referrer", "device_type")
"""Columns of a session whose values its start determines."""


def _parameter(table: Any, name: str) -> Any:
    return bindparam(name, type_=getattr(table, name).type)


def _values(table: Any, values: dict[str, Any]) -> list[Any]:
    """Return the values as expressions of the columns' types."""
    return [
        value if hasattr(value, "self_group") else literal(value, getattr(table, name).type)
        for name, value in values.items()
    ]


def _found() -> CTE:
    """Lock the browser's user, as strongly as an update does."""
    known = select(User.id).where(User.anonymous_id == _parameter(User, "anonymous_id"))
    return known.with_for_update(key_share=True).cte("found")


def _created(found: CTE) -> CTE:
    """Insert a user if there is none, and no such session either: an open one stays as it is, and needs none."""
    values = {"anonymous_id": _parameter(User, "anonymous_id"), "is_registered": False, **NEW_USER}
    is_known = exists().where(BrowsingSession.session_id == _parameter(BrowsingSession, "session_id"))
    missing = select(*_values(User, values)).where(not_(exists(select(found.c.id))), not_(is_known))
    new = insert(USERS).from_select([*values], missing)
    return new.on_conflict_do_nothing().returning(USERS.c.id).cte("created")


def _open() -> ReturningInsert[Any]:
    found = _found()
    visitor = union_all(select(found.c.id), select(_created(found).c.id)).subquery("visitor")
    values = {"user_id": visitor.c.id, **{name: _parameter(BrowsingSession, name) for name in STARTED}, **NEW_SESSION}
    new = insert(SESSIONS).from_select([*values], select(*_values(BrowsingSession, values)))
    return new.on_conflict_do_nothing(index_elements=[SESSIONS.c.session_id]).returning(SESSIONS.c.user_id)


OPEN = _open()


async def open_guest_session(session: AsyncSession, started: dict[str, Any]) -> int | None:
    """Open a new session for the browser's user, who is created if there is none yet, and return the user's id.

    Return None if that is not all: there is such a session already, or the platform has just created the user.
    The caller has locked the names of browser and session.
    """
    user_id: int | None = (await session.execute(OPEN, started)).scalar()
    return user_id
