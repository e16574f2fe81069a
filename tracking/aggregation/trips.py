"""The job that recounts the interaction metrics of trips from their events."""

from collections.abc import Sequence

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from core.postgres.batched_changes import change_rows
from schemas.tables import TripInteraction
from tracking.aggregation.trip_metrics import DWELL, RATES
from tracking.counted_events import MAX_COUNT

CHUNK = 200

STALE = text("""
SELECT trip_id FROM events WHERE "timestamp" >= now() - interval '7 days' AND trip_id IS NOT NULL
UNION
SELECT trip_id FROM trip_interactions WHERE impressions_7d > 0 OR clicks_7d > 0
ORDER BY trip_id
""")
"""Trips whose metrics may have changed: with events in the last 7 days, or with counts of the 7 days before."""

COUNT = text(f"""
SELECT
    trip_id,
    count(*) FILTER (WHERE type = 'impression') AS impression_count,
    count(*) FILTER (WHERE type = 'click_trip') AS click_count,
    count(*) FILTER (WHERE type = 'save_trip') AS save_count,
    count(*) FILTER (WHERE type = 'contact_whatsapp') AS whatsapp_contact_count,
    count(*) FILTER (WHERE type = 'contact_phone') AS phone_contact_count,
    count(*) FILTER (WHERE type = 'booking_start') AS booking_start_count,
    count(DISTINCT anonymous_id) FILTER (WHERE type = 'impression') AS unique_viewers,
    count(DISTINCT anonymous_id) FILTER (WHERE type = 'click_trip') AS unique_clickers,
    least({MAX_COUNT}, coalesce(sum(dwell) FILTER (WHERE type = 'trip_dwell_time'), 0)) AS total_dwell_time_seconds,
    coalesce(round(avg(dwell) FILTER (WHERE type = 'trip_dwell_time')), 0)::integer AS avg_dwell_time_seconds,
    count(*) FILTER (WHERE type = 'impression' AND at >= now() - interval '7 days') AS impressions_7d,
    count(*) FILTER (WHERE type = 'click_trip' AND at >= now() - interval '7 days') AS clicks_7d,
    max(at) FILTER (WHERE type = 'click_trip') AS last_clicked_at
FROM unnest(CAST(:trips AS integer[])) AS chosen (trip_id)
LEFT JOIN (
    SELECT events.trip_id, events.anonymous_id, events."timestamp" AS at, event_types.name AS type, {DWELL} AS dwell
    FROM events JOIN event_types ON event_types.id = events.event_type_id
    WHERE events.trip_id = ANY(:trips)
) AS trip_events USING (trip_id)
GROUP BY trip_id
ORDER BY trip_id
""")  # noqa: S608  # of constants

RECOUNTED = {"avg_dwell_time_seconds", "impressions_7d", "clicks_7d"}
"""Columns that are replaced. The others never fall: old events are removed, and new ones are counted meanwhile."""


async def aggregate_trips(engine: AsyncEngine) -> int:
    """Recount trips with recent events (unique visitors, the last 7 days, rates); return their number."""

    async def aggregate(chunk: Sequence[int]) -> Sequence[int]:
        await _aggregate(engine, chunk)
        return chunk

    async with engine.connect() as connection:
        trips = (await connection.scalars(STALE)).all()
    for first in range(0, len(trips), CHUNK):
        await change_rows(TripInteraction.__tablename__, trips[first : first + CHUNK], aggregate)
    return len(trips)


async def _aggregate(engine: AsyncEngine, trips: Sequence[int]) -> None:
    # Counted without a lock: the consumer would wait for it, and others for the consumer.
    async with engine.connect() as connection:
        counted = (await connection.execute(COUNT, {"trips": trips})).mappings().all()
    rows = insert(TripInteraction).values([{**row, "updated_at": func.now()} for row in counted])
    known, new = TripInteraction.__table__.c, rows.excluded
    merged = {
        name: new[name] if name in RECOUNTED else func.greatest(known[name], new[name])
        for name in counted[0]
        if name != "trip_id"
    }
    async with engine.begin() as connection:
        await connection.execute(rows.on_conflict_do_update(index_elements=["trip_id"], set_=merged))
        await connection.execute(RATES, {"trips": trips})
