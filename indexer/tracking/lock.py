"""One lock for all who change many rows of sessions, users or trip_interactions at once."""

from sqlalchemy import text

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('smarttrip.tracking', 0))")
"""Held until the transaction ends. Without it, two that take the same rows in another order would deadlock."""
