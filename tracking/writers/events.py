"""Write events, and add them to the counts of sessions, users and trips, in one statement."""

from collections.abc import Sequence

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tracking.aggregation.trip_metrics import DWELL, RATES, TYPES
from tracking.counted_events import MAX_COUNT, SESSION_COUNTERS, USER_COUNTERS, additions, counts, increased
from tracking.locks import SESSION_NAME

LOCK_NEW_SESSIONS = text("""
SELECT pg_advisory_xact_lock(key)
FROM (
    SELECT DISTINCT hashtextextended(:prefix || entry.session_id, 0) AS key
    FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS entry (session_id uuid)
    WHERE NOT EXISTS (SELECT FROM sessions WHERE sessions.session_id = entry.session_id)
    ORDER BY key
) AS ordered
""").bindparams(prefix=SESSION_NAME)
"""Wait for sessions that begin just now: each event is counted by whoever comes last, this or the session's start."""

# Only inserted rows are counted, so an event that arrives twice has its effects once. Sessions are locked before users,
# as everywhere. An unknown type leaves event_type_id null, which the column rejects.
STORE = text(f"""
WITH incoming AS (
    SELECT entry.*, event_types.id AS event_type_id, coalesce(sessions.user_id, users.id) AS user_id
    FROM ROWS FROM (jsonb_to_recordset(CAST(:events AS jsonb)) AS (
        event_uuid uuid, event_type text, session_id uuid, anonymous_id uuid, trip_id integer, source text,
        recommendation_request_id uuid, event_data jsonb, position_in_results integer, score_at_time numeric,
        "timestamp" timestamptz, client_timestamp timestamptz, page_url text, referrer text
    )) WITH ORDINALITY AS entry (
        event_uuid, event_type, session_id, anonymous_id, trip_id, source,
        recommendation_request_id, event_data, position_in_results, score_at_time,
        "timestamp", client_timestamp, page_url, referrer, place
    )
    LEFT JOIN event_types ON event_types.name = entry.event_type
    LEFT JOIN sessions ON sessions.session_id = entry.session_id
    LEFT JOIN users ON users.anonymous_id = entry.anonymous_id
),
inserted AS (
    INSERT INTO events (
        user_id, session_id, anonymous_id, trip_id, recommendation_request_id, source, event_data, position_in_results,
        score_at_time, "timestamp", client_timestamp, page_url, referrer, created_at, event_type_id, event_uuid
    )
    SELECT
        user_id, session_id, anonymous_id, trip_id, recommendation_request_id, source,
        coalesce(event_data, '{{}}'), position_in_results, score_at_time, "timestamp", client_timestamp, page_url,
        referrer, now(), event_type_id, event_uuid
    FROM incoming
    ORDER BY place
    ON CONFLICT (event_uuid) DO NOTHING
    RETURNING user_id, session_id, trip_id, event_data, "timestamp" AS at, event_type_id
),
happened AS (
    SELECT inserted.*, event_types.name AS type FROM inserted JOIN event_types ON event_types.id = event_type_id
),
to_sessions AS (
    UPDATE sessions SET
        {additions("sessions", SESSION_COUNTERS)},
        ended_at = CASE WHEN ended_at >= latest THEN ended_at END,
        duration_seconds = CASE WHEN ended_at >= latest THEN duration_seconds END
    FROM (
        SELECT
            session_id AS id,
            {counts(SESSION_COUNTERS)},
            max(at) AS latest
        FROM happened GROUP BY session_id
    ) AS added
    WHERE sessions.session_id = added.id
    RETURNING sessions.id
),
to_users AS (
    UPDATE users SET
        {additions("users", USER_COUNTERS)},
        last_seen_at = greatest(last_seen_at, latest),
        updated_at = now()
    FROM (
        SELECT
            user_id AS id,
            {counts(USER_COUNTERS)},
            max(at) AS latest
        FROM happened GROUP BY user_id
    ) AS added
    WHERE users.id = added.id AND (SELECT count(*) FROM to_sessions) >= 0
    RETURNING users.id
),
to_trips AS (
    INSERT INTO trip_interactions AS trip (
        trip_id, impression_count, click_count, total_dwell_time_seconds, save_count, whatsapp_contact_count,
        phone_contact_count, booking_start_count, last_clicked_at, unique_viewers, unique_clickers,
        avg_dwell_time_seconds, impressions_7d, clicks_7d, updated_at
    )
    SELECT
        trip_id,
        count(*) FILTER (WHERE type = 'impression'),
        count(*) FILTER (WHERE type = 'click_trip'),
        least({MAX_COUNT}, coalesce(sum({DWELL}) FILTER (WHERE type = 'trip_dwell_time'), 0)),
        count(*) FILTER (WHERE type = 'save_trip'),
        count(*) FILTER (WHERE type = 'contact_whatsapp'),
        count(*) FILTER (WHERE type = 'contact_phone'),
        count(*) FILTER (WHERE type = 'booking_start'),
        max(at) FILTER (WHERE type = 'click_trip'),
        0, 0, 0, 0, 0, now()
    FROM happened
    WHERE trip_id IS NOT NULL AND type IN :trip_types
    GROUP BY trip_id
    ORDER BY trip_id
    ON CONFLICT (trip_id) DO UPDATE SET
        impression_count = {increased("trip.impression_count", "excluded.impression_count")},
        click_count = {increased("trip.click_count", "excluded.click_count")},
        total_dwell_time_seconds = {increased("trip.total_dwell_time_seconds", "excluded.total_dwell_time_seconds")},
        save_count = {increased("trip.save_count", "excluded.save_count")},
        whatsapp_contact_count = {increased("trip.whatsapp_contact_count", "excluded.whatsapp_contact_count")},
        phone_contact_count = {increased("trip.phone_contact_count", "excluded.phone_contact_count")},
        booking_start_count = {increased("trip.booking_start_count", "excluded.booking_start_count")},
        last_clicked_at = greatest(trip.last_clicked_at, excluded.last_clicked_at),
        updated_at = now()
    RETURNING trip.trip_id
)
SELECT trip_id FROM to_trips
""").bindparams(bindparam("trip_types", TYPES, expanding=True))  # noqa: S608  # of constants


async def write_events(connection: AsyncConnection, bodies: Sequence[bytes]) -> None:
    """Write events, given as JSON objects, in this order."""
    events = {"events": (b"[%b]" % b",".join(bodies)).decode(errors="replace")}
    await connection.execute(LOCK_NEW_SESSIONS, events)
    changed = (await connection.scalars(STORE, events)).all()
    await connection.execute(RATES, {"trips": changed})
