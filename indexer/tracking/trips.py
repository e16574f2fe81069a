"""How travellers take to trips: what trip_interactions says, derived from the events."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.tracking.lock import LOCK
from schemas.events import CONVERSION, ENGAGEMENT

TYPES = (*ENGAGEMENT, *CONVERSION)
"""Events that count for the trip that they name."""

MAX_DWELL = 86_400
"""Seconds that one visit of a trip's page counts for: no forgotten tab outweighs all readers."""

DWELL = f"""CASE WHEN jsonb_typeof(event_data -> 'duration_seconds') = 'number'
    THEN greatest(0, least({MAX_DWELL}, CAST(event_data ->> 'duration_seconds' AS numeric)))::integer
    ELSE 0 END"""
"""Seconds that a row of events tells of."""


def _rate(part: str, whole: str) -> str:
    """Clicks without an impression, from a link say, may make it more than 1; the column ends below 10."""
    return f"CASE WHEN {whole} > 0 THEN least(9.9999, ({part})::numeric / {whole}) END"


RATES = text(f"""
UPDATE trip_interactions SET
    click_through_rate = {_rate("click_count", "impression_count")},
    save_rate = {_rate("save_count", "click_count")},
    contact_rate = {_rate("whatsapp_contact_count + phone_contact_count", "click_count")},
    updated_at = now()
WHERE trip_id = ANY(:trips)
""")  # noqa: S608  # of constants

CHUNK = 200

STALE = text("""
SELECT trip_id FROM events WHERE "timestamp" >= now() - interval '7 days' AND trip_id IS NOT NULL
UNION
SELECT trip_id FROM trip_interactions WHERE impressions_7d > 0 OR clicks_7d > 0
ORDER BY trip_id
""")
"""Trips whose figures may have changed: met with in the last 7 days, or in those before that are counted now."""

# What was counted once is never taken back: old events are removed after some time.
AGGREGATE = text(f"""
INSERT INTO trip_interactions AS trip (
    trip_id, impression_count, unique_viewers, click_count, unique_clickers, total_dwell_time_seconds,
    avg_dwell_time_seconds, save_count, whatsapp_contact_count, phone_contact_count, booking_start_count,
    impressions_7d, clicks_7d, last_clicked_at, updated_at
)
SELECT
    chosen.trip_id,
    count(*) FILTER (WHERE type = 'impression'),
    count(DISTINCT anonymous_id) FILTER (WHERE type = 'impression'),
    count(*) FILTER (WHERE type = 'click_trip'),
    count(DISTINCT anonymous_id) FILTER (WHERE type = 'click_trip'),
    coalesce(sum(dwell) FILTER (WHERE type = 'trip_dwell_time'), 0),
    coalesce(round(avg(dwell) FILTER (WHERE type = 'trip_dwell_time')), 0),
    count(*) FILTER (WHERE type = 'save_trip'),
    count(*) FILTER (WHERE type = 'contact_whatsapp'),
    count(*) FILTER (WHERE type = 'contact_phone'),
    count(*) FILTER (WHERE type = 'booking_start'),
    count(*) FILTER (WHERE type = 'impression' AND at >= now() - interval '7 days'),
    count(*) FILTER (WHERE type = 'click_trip' AND at >= now() - interval '7 days'),
    max(at) FILTER (WHERE type = 'click_trip'),
    now()
FROM unnest(CAST(:trips AS integer[])) AS chosen (trip_id)
LEFT JOIN (
    SELECT events.trip_id, events.anonymous_id, events."timestamp" AS at, event_types.name AS type, {DWELL} AS dwell
    FROM events JOIN event_types ON event_types.id = events.event_type_id
    WHERE events.trip_id = ANY(:trips)
) AS met USING (trip_id)
GROUP BY chosen.trip_id
ORDER BY chosen.trip_id
ON CONFLICT (trip_id) DO UPDATE SET
    impression_count = greatest(trip.impression_count, excluded.impression_count),
    unique_viewers = greatest(trip.unique_viewers, excluded.unique_viewers),
    click_count = greatest(trip.click_count, excluded.click_count),
    unique_clickers = greatest(trip.unique_clickers, excluded.unique_clickers),
    total_dwell_time_seconds = greatest(trip.total_dwell_time_seconds, excluded.total_dwell_time_seconds),
    avg_dwell_time_seconds = excluded.avg_dwell_time_seconds,
    save_count = greatest(trip.save_count, excluded.save_count),
    whatsapp_contact_count = greatest(trip.whatsapp_contact_count, excluded.whatsapp_contact_count),
    phone_contact_count = greatest(trip.phone_contact_count, excluded.phone_contact_count),
    booking_start_count = greatest(trip.booking_start_count, excluded.booking_start_count),
    impressions_7d = excluded.impressions_7d,
    clicks_7d = excluded.clicks_7d,
    last_clicked_at = greatest(trip.last_clicked_at, excluded.last_clicked_at),
    updated_at = now()
""")  # noqa: S608  # of constants


async def aggregate_trips(engine: AsyncEngine) -> int:
    """Counts again the trips that were met with lately: unique people, the last 7 days, rates. Answers how many."""
    async with engine.connect() as connection:
        trips = (await connection.scalars(STALE)).all()
    for first in range(0, len(trips), CHUNK):
        chunk = trips[first : first + CHUNK]
        async with engine.begin() as connection:
            await connection.execute(LOCK)
            await connection.execute(AGGREGATE, {"trips": chunk})
            await connection.execute(RATES, {"trips": chunk})
    return len(trips)
