"""Which events the counters of sessions and users count, and the events that arrive before their session begins."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

SESSION_COUNTERS = {
    "search_count": "type = 'search_submit'",
    "click_count": "type = 'click_trip'",
    "save_count": "type = 'save_trip'",
    "contact_count": "type IN ('contact_whatsapp', 'contact_phone')",
}
"""Columns of sessions, with the condition on the events that they count."""

USER_COUNTERS = {"total_searches": "type = 'search_submit'", "total_clicks": "type = 'click_trip'"}
"""Columns of users, as above."""

MAX_COUNT = 2**31 - 1
"""Maximum of the columns that hold sums."""


def counts(counters: dict[str, str]) -> str:
    """Return the select list that counts events by column."""
    return ", ".join(f"count(*) FILTER (WHERE {condition}) AS {column}" for column, condition in counters.items())


def additions(table: str, counters: dict[str, str]) -> str:
    """Return the SET clause that adds the counts of the subquery `added`."""
    return ", ".join(f"{column} = {increased(f'{table}.{column}', f'added.{column}')}" for column in counters)


def increased(column: str, by: str) -> str:
    """Return SQL for a counter that is increased, up to the maximum of its type."""
    return f"greatest({column}, least({MAX_COUNT}, coalesce({column}, 0)::bigint + {by}))"


COUNT_NEW_SESSION = text(f"""
WITH stored AS (
    SELECT events.id, event_types.name AS type
    FROM events JOIN event_types ON event_types.id = events.event_type_id
    WHERE events.session_id = :session_id
),
of_session AS (
    UPDATE sessions SET {additions("sessions", SESSION_COUNTERS)}
    FROM (SELECT {counts(SESSION_COUNTERS)} FROM stored) AS added
    WHERE sessions.session_id = :session_id
),
adopted AS (
    UPDATE events SET user_id = :user_id
    FROM stored WHERE events.id = stored.id AND events.user_id IS NULL
    RETURNING stored.type
)
UPDATE users SET
    {additions("users", USER_COUNTERS)},
    total_sessions = {increased("total_sessions", "1")},
    last_seen_at = greatest(last_seen_at, now()),
    updated_at = now()
FROM (SELECT {counts(USER_COUNTERS)} FROM adopted) AS added
WHERE users.id = :user_id
""")  # noqa: S608  # of constants


async def count_new_session(session: AsyncSession, session_id: UUID, user_id: int) -> None:
    """Count the session for its user, with the events that were stored before it began.

    Those that belong to nobody yet are assigned to the user.
    """
    await session.execute(COUNT_NEW_SESSION, {"session_id": session_id, "user_id": user_id})
