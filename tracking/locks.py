"""One lock for all who change many sessions or users at once. Trips are always taken in the order of their ids."""

from sqlalchemy import text

TRACKING_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('smarttrip.tracking', 0))")
"""Held until the transaction ends. Without it, two that take the same rows in another order would deadlock."""
