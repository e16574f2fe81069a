"""Interaction metrics of trips (trip_interactions): which events count, and the rates that follow."""

from sqlalchemy import text

from schemas.event_types import CONVERSION, ENGAGEMENT

TYPES = (*ENGAGEMENT, *CONVERSION)
"""Types of events that count for their trip."""

MAX_DWELL = 86_400
"""Maximum seconds that one visit of a trip's page counts for: a forgotten tab must not outweigh all readers."""

DWELL = f"""CASE WHEN jsonb_typeof(event_data -> 'duration_seconds') = 'number'
    THEN greatest(0, least({MAX_DWELL}, CAST(event_data ->> 'duration_seconds' AS numeric)))::integer
    ELSE 0 END"""
"""SQL for the dwell time of an event in seconds."""


def _rate(part: str, whole: str) -> str:
    """Return SQL for a rate. Clicks without an impression can make it exceed 1; the column ends below 10."""
    return f"CASE WHEN {whole} > 0 THEN least(9.9999, ({part})::numeric / {whole}) END"


RATES = text(f"""
UPDATE trip_interactions SET
    click_through_rate = {_rate("click_count", "impression_count")},
    save_rate = {_rate("save_count", "click_count")},
    contact_rate = {_rate("whatsapp_contact_count + phone_contact_count", "click_count")},
    updated_at = now()
WHERE trip_id = ANY(:trips)
""")  # noqa: S608  # of constants
